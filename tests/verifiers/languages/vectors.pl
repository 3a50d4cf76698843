# The vectors before the verifier in Perl: `verify` itself, and the middleware.
use strict;
use warnings;
use lib 'verify';
use JSON::PP ();
use MemberGateway;

my $file = do { local (@ARGV, $/) = 'tests/data/signature-vectors.json'; JSON::PP::decode_json(<>) };
my %known = map {
    my $key = $file->{keys}{$_};
    $_ => $key->{secret} ? MemberGateway::hmac_key($key->{secret}) : MemberGateway::public_key($key->{jwk});
} keys %{ $file->{keys} };
my $canonical = JSON::PP->new->canonical->latin1;
my @mistakes;

sub compare {
    my ($how, $vector, $expected, $call) = @_;
    my $own = $vector->{verifier};
    my %options = (names => $own->{fields}, authority => $own->{authority}, now => $vector->{now});
    my @remembered;
    if ($own->{nonces}) {
        my $memory = MemberGateway::nonces();
        $options{nonces} = sub { $memory->(@_) && push @remembered, $_[0] };
        $options{nonces}->($_, $vector->{now} + 60, $vector->{now}) or push @mistakes, 'a nonce was not new' for @{ $own->{nonces} };
    }
    my %keys = map { $file->{keys}{$_}{id} => $known{$_} } @{ $own->{keys} };
    my $member = eval { $call->(\%keys, %options) };
    die $@ if $@ && ref $@ ne 'MemberGateway::Refused';
    my $found = $canonical->encode($member ? { member => $member } : { error => ${$@} });
    push @mistakes, "$how: $vector->{name}: $found, @remembered"
        if $found ne $canonical->encode($expected) || "@remembered" ne join ' ', @{ $vector->{remembered} // [] };
}

sub env {
    my ($vector) = @_;
    my %found = (REQUEST_METHOD => $vector->{method}, REQUEST_URI => $vector->{target}, PATH_INFO => '/decoded');
    for my $field (@{ $vector->{fields} }) {
        my ($name, $value) = @$field;
        $name = 'HTTP_' . uc($name) =~ tr/-/_/r;
        $found{$name} = defined $found{$name} ? "$found{$name}, $value" : $value;
    }
    return \%found;
}

for my $vector (@{ $file->{vectors} }) {
    compare('verify', $vector, $vector->{expected}, sub { MemberGateway::verify(@$vector{qw(method target fields)}, @_) });
    compare('PSGI', $vector, $vector->{folded} // $vector->{expected}, sub { MemberGateway::member_of(env($vector), @_) });
}

# Without the raw path nothing is guessed.
my $cut = env($file->{vectors}[0]);
delete $cut->{REQUEST_URI};
eval { MemberGateway::member_of($cut, {}) };
push @mistakes, "a server without REQUEST_URI: $@" unless $@ =~ /\Ano-raw-target: /;

# The anonymous pass without the fields they wrote themselves, and with a bad signature nobody does.
my ($unsigned) = grep { $_->{name} =~ /: identity fields alone\z/ } @{ $file->{vectors} };
my $app = MemberGateway::middleware(sub { $_[0] }, {}, anonymous => 1);
my $passed = $app->(env($unsigned));
push @mistakes, 'the anonymous keep what they wrote' if defined $passed->{member} || exists $passed->{HTTP_X_MEMBER_ID};
my $answer = $app->(env($file->{vectors}[0]));
push @mistakes, 'an unknown key is not answered' unless $answer->[0] == 401 && $answer->[2][0] eq "unknown-key\n";

# The keys of a site are fetched once, again for an unknown id after a minute, and again after an hour.
my $keys = MemberGateway::JwkSet->new($ENV{JWK_SET});
for my $step ([0, '2026-11.ed', 1], [1, '2026-12.p256', 1], [59, '?', 0], [60, '?', 0], [61, '2026-11.ed', 1], [3659, '2026-11.p256', 1], [3660, '2026-11.ed', 1]) {
    my ($seconds, $keyid, $expected) = @$step;
    push @mistakes, "JwkSet: $keyid after $seconds s" if !!$keys->get($keyid, 1_795_300_000 + $seconds) ne !!$expected;
}
eval { MemberGateway::JwkSet->new('http://127.0.0.1:1/')->get('?', 0) };
push @mistakes, 'JwkSet without a server' unless ref $@ && ${$@} eq 'keys-unavailable';

print @mistakes ? join "\n", @mistakes : scalar @{ $file->{vectors} } . ' vectors', "\n";
exit !!@mistakes;
