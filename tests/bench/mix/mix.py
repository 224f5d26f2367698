# mix.py: dictionaries, regular expressions, JSON, sorting and recursion, for the corpus.
import json
import re
import sys


def words(text):
    return re.findall(r"[A-Za-z_]\w+", text)


def depth(n, rows):
    if n == 0:
        return sorted(rows, key=lambda r: (r[1], r[0]))[:10]
    return depth(n - 1, rows)


text = open(sys.argv[1], errors="replace").read(2000000)
for start in range(0, len(text), 100000):
    count = {}
    for w in words(text[start : start + 100000]):
        count[w] = count.get(w, 0) + 1
    top = depth(40, list(count.items()))
    json.loads(json.dumps({"top": top, "all": count}, indent=1))
