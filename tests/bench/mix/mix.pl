# mix.pl: hashes, regular expressions, sorting and recursion, for the corpus.
use strict;
use warnings;

sub depth {
    my ($n, $count) = @_;
    return depth($n - 1, $count) if $n;
    return join ",", sort { $count->{$b} <=> $count->{$a} || $a cmp $b } keys %$count;
}

open my $in, "<", $ARGV[0] or die;
my %count;
while (<$in>) {
    $count{lc $1}++ while /([A-Za-z_]\w+)/g;
    last if $. > 60000;
}
print length depth(30, \%count), "\n";
