# Verifies who member-gateway says is asking (RFC 9421, label "member"). Ruby 3.0 or later, no gems; copy this file.
#
#   require_relative 'member_gateway'
#
#   keys = { '2026-11' => MemberGateway.hmac_key('…base64url, the key in gateway.toml…') }   # ids and keys of [identity.signature]
#   keys = MemberGateway::JwkSet.new('https://members.example.org/_gateway/keys')            # or ed25519 and ecdsa
#
#   use MemberGateway::Middleware, keys, authority: 'members.example.org'                    # config.ru; Rails: config.middleware.use
#
# The member is env['member'], a hash such as { 'x-member-id' => '400007995-00', … }. Everybody else gets 401, unless
# `anonymous: true`: then whoever carries no signature passes as nil, without the identity fields. Without Rack call
# `MemberGateway.verify(method, target, fields, keys)`, which raises MemberGateway::Refused with the name of the error.
require 'json'
require 'net/http'
require 'openssl'
require 'uri'

module MemberGateway
  # The identity fields this app reads, in the order in which the gateway sends them; 'name?' need not be sent.
  FIELDS = %w[x-member-id x-member-unit-id x-member-provider].freeze
  TOLERANCE = 5 # seconds by which the clocks of gateway and app may differ

  TEXT = '"([ !#-\[\]-~]*)"'.freeze
  INPUT = /\Amember=(\(([^()]*)\);created=([0-9]{1,15});expires=([0-9]{1,15});nonce=#{TEXT};keyid=#{TEXT};alg=#{TEXT};tag=#{TEXT})[ \t]*(?=,|\z)/
  SIGNATURE = %r{\Amember=:([A-Za-z0-9+/]+={0,2}):[ \t]*(?=,|\z)}
  AGAIN = /,[ \t]*member(?![a-z0-9_.*-])/ # a second entry under our label
  private_constant :TEXT, :INPUT, :SIGNATURE, :AGAIN

  # Nobody is signed in as far as this request goes. The message is the name of the error, for your log.
  class Refused < StandardError; end

  # The server does not say what stood in the request line. That is a matter of its configuration.
  class NoRawTarget < StandardError; end

  # A key and the one algorithm it is for.
  Key = Struct.new(:algorithm, :check) do
    def verifies?(base, signature)
      check.call(base, signature)
    rescue OpenSSL::PKey::PKeyError
      false # not even the form of a signature
    end
  end

  # The secret that app and gateway share.
  def self.hmac_key(text)
    secret = unbase64url(text)
    raise ArgumentError, 'an hmac-sha256 key is at least 32 bytes, base64url' if secret.bytesize < 32

    Key.new('hmac-sha256', lambda do |base, signature|
      expected = OpenSSL::HMAC.digest('SHA256', secret, base)
      expected.bytesize == signature.bytesize && OpenSSL.fixed_length_secure_compare(expected, signature)
    end)
  end

  # An ed25519 or P-256 key, from a JWK (RFC 7517); nil where it is neither.
  def self.public_key(jwk)
    x, y = jwk.values_at('x', 'y').map { |text| unbase64url(text.to_s) }
    # SubjectPublicKeyInfo (RFC 8410 section 4, RFC 5480 section 2): what stands before the key never changes.
    case jwk.values_at('kty', 'crv')
    when %w[OKP Ed25519]
      key = OpenSSL::PKey.read(["302a300506032b6570032100#{x.unpack1('H*')}"].pack('H*'))
      Key.new('ed25519', ->(base, signature) { key.verify(nil, signature, base) })
    when %w[EC P-256]
      point = "04#{x.unpack1('H*')}#{y.unpack1('H*')}"
      key = OpenSSL::PKey.read(["3059301306072a8648ce3d020106082a8648ce3d030107034200#{point}"].pack('H*'))
      Key.new('ecdsa-p256-sha256', lambda do |base, signature|
        numbers = signature.unpack('a32a32').map { |half| OpenSSL::ASN1::Integer(OpenSSL::BN.new(half, 2)) }
        signature.bytesize == 64 && key.verify('SHA256', OpenSSL::ASN1::Sequence(numbers).to_der, base)
      end)
    end
  end

  # The public keys of a site, fetched when they are needed, again after an hour, and at most once a minute.
  class JwkSet
    def initialize(url, max_age: 3600, retry_after: 60)
      @url, @max_age, @retry_after = URI(url), max_age, retry_after
      unless @url.scheme == 'https' || %w[localhost 127.0.0.1 [::1]].include?(@url.host)
        raise ArgumentError, 'keys come over https, or nobody knows whose they are'
      end
      @keys, @fetched, @tried, @lock = nil, 0, nil, Mutex.new
    end

    def fetch_key(keyid, now = Time.now.to_f)
      @lock.synchronize do
        stale = @keys.nil? || !@keys.key?(keyid) || now >= @fetched + @max_age
        refresh(now) if stale && (@tried.nil? || now >= @tried + @retry_after)
        raise Refused, 'keys-unavailable' if @keys.nil?

        @keys[keyid]
      end
    end

    private

    def refresh(now)
      @tried = now
      options = { use_ssl: @url.scheme == 'https', open_timeout: 5, read_timeout: 5 }
      answer = Net::HTTP.start(@url.host, @url.port, **options) { |http| http.get(@url.request_uri) }
      raise IOError, answer.code unless answer.is_a?(Net::HTTPOK)

      @keys = JSON.parse(answer.body).fetch('keys').to_h { |jwk| [jwk['kid'], MemberGateway.public_key(jwk)] }.compact
      @fetched = now
    rescue IOError, SystemCallError, SocketError, Timeout::Error, OpenSSL::OpenSSLError, JSON::ParserError, KeyError
      # What is known already stays.
    end
  end

  # Remembers the nonces of this process, so that no request is taken twice. Several processes need a common store: a
  # lambda of the same arguments that says whether the nonce is new, such as SET NX EXAT in Redis.
  class Nonces
    def initialize
      @seen, @lock = {}, Mutex.new
    end

    def call(nonce, till, now)
      @lock.synchronize do
        @seen.delete_if { |_, ends| ends <= now }
        !@seen.key?(nonce) && (@seen[nonce] = till) && true
      end
    end
  end

  # The identity fields with their values, or Refused.
  #
  # `target` is the raw request target, `fields` are pairs of name and value, `keys` maps ids to keys. `authority` is the
  # Host of this app: needed where one key signs for several sites. `nonces` may be a Nonces.
  def self.verify(method, target, fields, keys, names: FIELDS, authority: nil, nonces: nil, tolerance: TOLERANCE, now: Time.now.to_f)
    values = Hash.new { |_, _| [] }
    fields.each { |name, value| values[name.downcase] += [value.b.gsub(/\A[ \t]+|[ \t]+\z/, '')] }
    given, signed = %w[signature-input signature].map { |name| values[name].join(', ') }
    refuse('no-signature') unless given.start_with?('member=') && signed.start_with?('member=')
    known = names.map { |name| name.delete_suffix('?') }
    guarded = [*known, 'signature-input'].to_h { |name| [folded(name), name] }
    refuse('look-alike-field') unless values.keys.all? { |name| guarded.fetch(folded(name), name) == name }
    refuse('duplicated-field') if [*known, 'host'].any? { |name| values[name].size > 1 || values[name].join.include?(',') }
    entry, match = INPUT.match(given), SIGNATURE.match(signed)
    if entry.nil? || match.nil? || AGAIN.match?(entry.post_match) || AGAIN.match?(match.post_match)
      refuse('malformed-signature')
    end
    parameters, covered, created, expires, nonce, keyid, alg, tag = entry.captures
    signature = match[1].unpack1('m')
    refuse('malformed-signature') if [signature].pack('m0') != match[1]
    sent = names.select { |name| !name.end_with?('?') || values.key?(name.delete_suffix('?')) }.map { |name| name.delete_suffix('?') }
    components = ['@method', '@authority', '@path', '@query', *sent].map { |name| "\"#{name}\"" }
    refuse('wrong-components') if covered != components.join(' ')
    key = keys.is_a?(JwkSet) ? keys.fetch_key(keyid, now) : keys[keyid]
    refuse('unknown-key') if key.nil?
    refuse('wrong-algorithm') if alg != key.algorithm
    refuse('wrong-tag') if tag != 'member-gateway'
    refuse('not-yet-valid') if created.to_i > now + tolerance
    refuse('expired') if expires.to_i + tolerance <= now
    host, *member = ['host', *sent].map { |name| values[name].join }
    refuse('missing-field') if [host, *member].any?(&:empty?)
    path, query = target.b.split('?', 2)
    lines = [method.b, host, path.to_s, "?#{query}", *member]
    refuse('malformed-value') unless lines.all? { |line| line.match?(/\A[ -~]*\z/n) }
    refuse('wrong-authority') if authority && host != authority
    lines = components.zip(lines).map { |component, line| "#{component}: #{line}" }
    base = [*lines, "\"@signature-params\": #{parameters}"].join("\n")
    refuse('wrong-signature') unless key.verifies?(base, signature)
    refuse('replayed') if nonces && !nonces.call(nonce, expires.to_i + tolerance, now)
    sent.zip(member).to_h
  end

  # Rack middleware. PATH_INFO is decoded by some servers and tidied by others, so the server has to say what stood in the
  # request line: REQUEST_URI (Puma, Unicorn, Passenger).
  class Middleware
    def initialize(app, keys, anonymous: false, names: FIELDS, **options)
      @app, @keys, @anonymous, @names, @options = app, keys, anonymous, names, options
    end

    def call(env)
      env['member'] = member(env)
      @app.call(env)
    rescue Refused => e
      [401, { 'content-type' => 'text/plain', 'cache-control' => 'no-store' }, ["#{e.message}\n"]]
    end

    def member(env)
      target = env['RAW_URI'] || env['REQUEST_URI']
      if target.nil?
        raise NoRawTarget, 'no-raw-target: this Rack server gives no REQUEST_URI. PATH_INFO is not what stood in the ' \
                           'request line, and the signature is over the raw path. Puma, Unicorn and Passenger give it.'
      end
      fields = env.filter_map { |name, value| [name.delete_prefix('HTTP_').tr('_', '-'), value] if name.start_with?('HTTP_') }
      MemberGateway.verify(env['REQUEST_METHOD'], target, fields, @keys, names: @names, **@options)
    rescue Refused => e
      raise unless @anonymous && e.message == 'no-signature'

      identity = @names.map { |name| MemberGateway.folded(name.delete_suffix('?')) }
      env.delete_if { |name, _| name.start_with?('HTTP_') && identity.include?(MemberGateway.folded(name.delete_prefix('HTTP_'))) }
      nil
    end
  end

  # A name as CGI and its heirs read it: X_Member.Id is X-Member-Id to them.
  def self.folded(name)
    name.downcase.gsub(/[^a-z0-9]/, '-')
  end

  def self.unbase64url(text)
    text.tr('-_', '+/').unpack1('m')
  end

  def self.refuse(error)
    raise Refused, error
  end
  private_class_method :unbase64url, :refuse
end
