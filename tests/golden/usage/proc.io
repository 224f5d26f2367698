rchar: 16778848
wchar: 16777251
syscr: 14
syscw: 12
read_bytes: 0
write_bytes: 0
cancelled_write_bytes: 0
