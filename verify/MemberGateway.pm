# Verifies who member-gateway says is asking (RFC 9421, label "member"). Perl 5.20 or later; copy this file.
#
#   use MemberGateway;
#
#   my $keys = { '2026-11' => MemberGateway::hmac_key('…base64url, the key in gateway.toml…') };   # of [identity.signature]
#   my $keys = MemberGateway::JwkSet->new('https://members.example.org/_gateway/keys');            # or ed25519 and ecdsa: CryptX
#
#   $app = MemberGateway::middleware($app, $keys, authority => 'members.example.org');             # PSGI
#
# The member is $env->{member}, a hash such as { 'x-member-id' => '400007995-00', … }. Everybody else gets 401, unless
# `anonymous => 1`: then whoever carries no signature passes as undef, without the identity fields. Without PSGI call
# `MemberGateway::verify($method, $target, $fields, $keys)`, which dies with a MemberGateway::Refused: the name of the error.
package MemberGateway;
use strict;
use warnings;
use Digest::SHA qw(hmac_sha256);
use HTTP::Tiny;
use JSON::PP ();
use MIME::Base64 qw(decode_base64 decode_base64url encode_base64);

# The identity fields this app reads, in the order in which the gateway sends them; 'name?' need not be sent.
our @FIELDS = qw(x-member-id x-member-unit-id x-member-provider);

my $TEXT = qr/"([ !#-\[\]-~]*)"/;
my $INPUT = qr/\Amember=(\(([^()]*)\);created=([0-9]{1,15});expires=([0-9]{1,15});nonce=$TEXT;keyid=$TEXT;alg=$TEXT;tag=$TEXT)[ \t]*(?=,|\z)/;
my $SIGNATURE = qr{\Amember=:([A-Za-z0-9+/]+={0,2}):[ \t]*(?=,|\z)};
my $AGAIN = qr/,[ \t]*member(?![a-z0-9_.*-])/;    # a second entry under our label

# The secret that app and gateway share.
sub hmac_key {
    my $secret = decode_base64url(shift);
    die "an hmac-sha256 key is at least 32 bytes, base64url\n" if length $secret < 32;
    return { algorithm => 'hmac-sha256', verifies => sub { same(hmac_sha256($_[0], $secret), $_[1]) } };
}

# An ed25519 or P-256 key, from a JWK (RFC 7517); undef where it is neither. Perl itself has neither: CryptX verifies.
sub public_key {
    my ($jwk) = @_;
    my $kind = join ' ', map { $_ // '' } @$jwk{qw(kty crv)};
    if ($kind eq 'OKP Ed25519') {
        require Crypt::PK::Ed25519;
        my $key = Crypt::PK::Ed25519->new->import_key_raw(decode_base64url($jwk->{x}), 'public');
        # CryptX takes an S beyond the order of the group, so that one signature had two forms (RFC 8032 section 8.4).
        my $order = pack 'H*', '1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed';
        my $verifies = sub { length $_[1] == 64 && reverse(substr $_[1], 32) lt $order && $key->verify_message($_[1], $_[0]) };
        return { algorithm => 'ed25519', verifies => $verifies };
    }
    if ($kind eq 'EC P-256') {
        require Crypt::PK::ECC;
        my $point = "\x04" . decode_base64url($jwk->{x}) . decode_base64url($jwk->{y});
        my $key = Crypt::PK::ECC->new->import_key_raw($point, 'secp256r1');
        my $verifies = sub { length $_[1] == 64 && $key->verify_message_rfc7518($_[1], $_[0], 'SHA256') };
        return { algorithm => 'ecdsa-p256-sha256', verifies => $verifies };
    }
    return undef;
}

# The identity fields with their values.
#
# $target is the raw request target, $fields are pairs of name and value, $keys maps ids to keys. Options: names; authority,
# the Host of this app, needed where one key signs for several sites; nonces, see below; tolerance, the seconds by which the
# clocks of gateway and app may differ; now.
sub verify {
    my ($method, $target, $fields, $keys, %options) = @_;
    my @names = @{ $options{names} // \@FIELDS };
    my $tolerance = $options{tolerance} // 5;
    my $now = $options{now} // time;
    my %values;
    for my $field (@$fields) {
        my ($name, $value) = @$field;
        $value =~ s/\A[ \t]+|[ \t]+\z//g;
        push @{ $values{ lc $name } }, $value;
    }
    my $joined = sub { join ', ', @{ $values{ $_[0] } // [] } };
    my ($given, $signed) = map { $joined->($_) } qw(signature-input signature);
    refuse('no-signature') unless $given =~ /\Amember=/ && $signed =~ /\Amember=/;
    my @known = map { s/\?\z//r } @names;
    my %guarded = map { folded($_) => $_ } @known, 'signature-input';
    refuse('look-alike-field') if grep { ($guarded{ folded($_) } // $_) ne $_ } keys %values;
    refuse('duplicated-field') if grep { @{ $values{$_} // [] } > 1 || $joined->($_) =~ /,/ } @known, 'host';
    my ($parameters, $covered, $created, $expires, $nonce, $keyid, $alg, $tag) = $given =~ $INPUT or refuse('malformed-signature');
    refuse('malformed-signature') if substr($given, $+[0]) =~ $AGAIN;
    my ($text) = $signed =~ $SIGNATURE or refuse('malformed-signature');
    refuse('malformed-signature') if substr($signed, $+[0]) =~ $AGAIN;
    my $signature = decode_base64($text);
    refuse('malformed-signature') if encode_base64($signature, '') ne $text;
    my @sent = map { s/\?\z//r } grep { !/\?\z/ || exists $values{ s/\?\z//r } } @names;
    my @components = map { "\"$_\"" } '@method', '@authority', '@path', '@query', @sent;
    refuse('wrong-components') if $covered ne join ' ', @components;
    my $key = ref $keys eq 'HASH' ? $keys->{$keyid} : $keys->get($keyid, $now);
    refuse('unknown-key') unless defined $key;
    refuse('wrong-algorithm') if $alg ne $key->{algorithm};
    refuse('wrong-tag') if $tag ne 'member-gateway';
    refuse('not-yet-valid') if $created > $now + $tolerance;
    refuse('expired') if $expires + $tolerance <= $now;
    my ($host, @member) = map { $joined->($_) } 'host', @sent;
    refuse('missing-field') if grep { $_ eq '' } $host, @member;
    my ($path, $query) = split /\?/, $target, 2;
    my @lines = ($method, $host, $path // '', '?' . ($query // ''), @member);
    refuse('malformed-value') if grep { !/\A[ -~]*\z/ } @lines;
    refuse('wrong-authority') if defined $options{authority} && $host ne $options{authority};
    my $base = join "\n", (map { "$components[$_]: $lines[$_]" } 0 .. $#lines), "\"\@signature-params\": $parameters";
    refuse('wrong-signature') unless $key->{verifies}->($base, $signature);
    refuse('replayed') if $options{nonces} && !$options{nonces}->($nonce, $expires + $tolerance, $now);
    return { map { $sent[$_] => $member[$_] } 0 .. $#sent };
}

# PSGI middleware. PSGI promises the raw target in REQUEST_URI; PATH_INFO is decoded.
sub middleware {
    my ($app, $keys, %options) = @_;
    return sub {
        my ($env) = @_;
        my $member = eval { member_of($env, $keys, %options) };
        if (my $error = $@) {
            die $error unless ref $error eq 'MemberGateway::Refused';
            return [401, ['Content-Type' => 'text/plain', 'Cache-Control' => 'no-store'], ["$$error\n"]];
        }
        return $app->({ %$env, member => $member });
    };
}

# The member of a PSGI environment; undef for the anonymous, where they may pass, and the identity fields are gone then.
sub member_of {
    my ($env, $keys, %options) = @_;
    die 'no-raw-target: this server gives no REQUEST_URI, as PSGI demands. PATH_INFO is decoded, and the signature is over '
        . "the raw path.\n" unless defined $env->{REQUEST_URI};
    my @fields = map { [ substr($_, 5) =~ tr/_/-/r, $env->{$_} ] } grep { /\AHTTP_/ } keys %$env;
    my $member = eval { verify($env->{REQUEST_METHOD}, $env->{REQUEST_URI}, \@fields, $keys, %options) };
    return $member if $member;
    die $@ unless $options{anonymous} && ref $@ eq 'MemberGateway::Refused' && ${$@} eq 'no-signature';
    my %identity = map { folded(s/\?\z//r) => 1 } @{ $options{names} // \@FIELDS };
    delete @$env{ grep { /\AHTTP_(.*)/s && $identity{ folded($1) } } keys %$env };
    return undef;
}

# Remembers the nonces of this process, so that no request is taken twice. Several processes need a common store: a sub of
# the same arguments that says whether the nonce is new, such as SET NX EXAT in Redis.
sub nonces {
    my %seen;
    return sub {
        my ($nonce, $until, $now) = @_;
        delete @seen{ grep { $seen{$_} <= $now } keys %seen };
        return 0 if exists $seen{$nonce};
        $seen{$nonce} = $until;
        return 1;
    };
}

# A name as CGI and its heirs read it: X_Member.Id is X-Member-Id to them.
sub folded { return lc($_[0]) =~ s/[^a-z0-9]/-/gr }

# Whether two byte strings are equal, in a time that does not depend on where they differ.
sub same {
    my ($left, $right) = @_;
    return 0 if length $left != length $right;
    return unpack('%32b*', $left ^ $right) == 0;
}

# Nobody is signed in as far as this request goes. What it refers to is the name of the error, for your log.
sub refuse {
    my ($error) = @_;
    die bless \$error, 'MemberGateway::Refused';
}

# The public keys of a site, fetched when they are needed, again after an hour, and at most once a minute. HTTP::Tiny needs
# IO::Socket::SSL for https.
package MemberGateway::JwkSet;

sub new {
    my ($class, $url, %options) = @_;
    die "keys come over https, or nobody knows whose they are\n"
        unless $url =~ m{\A(?:https://|http://(?:localhost|127\.0\.0\.1|\[::1\])[:/])};
    return bless { url => $url, max_age => 3600, retry => 60, fetched => 0, %options }, $class;
}

sub get {
    my ($self, $keyid, $now) = @_;
    my $stale = !$self->{keys} || !exists $self->{keys}{$keyid} || $now >= $self->{fetched} + $self->{max_age};
    if ($stale && (!defined $self->{tried} || $now >= $self->{tried} + $self->{retry})) {
        $self->{tried} = $now;
        my $answer = HTTP::Tiny->new(timeout => 5, verify_SSL => 1)->get($self->{url});
        my $set = eval { $answer->{success} && JSON::PP::decode_json($answer->{content}) };
        # What is known already stays where nothing came.
        if ($set && ref $set->{keys} eq 'ARRAY') {
            my %jwks = map { ($_->{kid} // '') => $_ } @{ $set->{keys} };
            my %keys = map { $_ => eval { MemberGateway::public_key($jwks{$_}) } } keys %jwks;
            $self->{keys} = { map { $_ => $keys{$_} } grep { $keys{$_} } keys %keys };
            $self->{fetched} = $now;
        }
    }
    MemberGateway::refuse('keys-unavailable') unless $self->{keys};
    return $self->{keys}{$keyid};
}

1;
