# The vectors before the verifier in Ruby: `verify` itself, and the middleware.
require 'json'
require_relative '../../../verify/member_gateway'

FILE = JSON.parse(File.read('tests/data/signature-vectors.json', encoding: 'UTF-8'))
KNOWN = FILE['keys'].transform_values { |key| key['secret'] ? MemberGateway.hmac_key(key['secret']) : MemberGateway.public_key(key['jwk']) }
MISTAKES = []

# Text in the file stands for bytes: each character is one.
def bytes(text)
  text.encode('ISO-8859-1').b
end

def compare(how, vector, expected)
  own = vector['verifier']
  options = { names: own['fields'] || MemberGateway::FIELDS, authority: own['authority'], now: vector['now'] }
  remembered = own['nonces'] && []
  if remembered
    memory = MemberGateway::Nonces.new
    options[:nonces] = ->(nonce, till, now) { memory.call(nonce, till, now) && remembered.push(nonce) && true }
    own['nonces'].each { |nonce| options[:nonces].call(nonce, vector['now'] + 60, vector['now']) or MISTAKES << 'a nonce was not new' }
  end
  keys = own['keys'].to_h { |label| [FILE['keys'][label]['id'], KNOWN[label]] }
  found = begin
    { 'member' => yield(keys, options) }
  rescue MemberGateway::Refused => e
    { 'error' => e.message }
  end
  MISTAKES << "#{how}: #{vector['name']}: #{found}, #{remembered}" if found != expected || remembered != vector['remembered']
end

def env(vector)
  found = { 'REQUEST_METHOD' => vector['method'], 'REQUEST_URI' => bytes(vector['target']), 'PATH_INFO' => '/decoded' }
  vector['fields'].each do |name, value|
    name = "HTTP_#{name.upcase.tr('-', '_')}"
    found[name] = [found[name], bytes(value)].compact.join(',')
  end
  found
end

FILE['vectors'].each do |vector|
  fields = vector['fields'].map { |name, value| [name, bytes(value)] }
  compare('verify', vector, vector['expected']) do |keys, options|
    MemberGateway.verify(vector['method'], bytes(vector['target']), fields, keys, **options)
  end
  compare('Rack', vector, vector['folded'] || vector['expected']) do |keys, options|
    MemberGateway::Middleware.new(nil, keys, **options).member(env(vector))
  end
end

# Without the raw path nothing is guessed.
begin
  MemberGateway::Middleware.new(nil, {}).member(env(FILE['vectors'][0]).except('REQUEST_URI'))
  MISTAKES << 'a server without REQUEST_URI'
rescue MemberGateway::NoRawTarget => e
  MISTAKES << e.message unless e.message.start_with?('no-raw-target: ')
end

# The anonymous pass without the fields they wrote themselves, and with a bad signature nobody does.
unsigned = env(FILE['vectors'].find { |vector| vector['name'].end_with?(': identity fields alone') })
passed = MemberGateway::Middleware.new(->(env) { env }, {}, anonymous: true).call(unsigned)
MISTAKES << 'the anonymous keep what they wrote' if passed['member'] || passed.key?('HTTP_X_MEMBER_ID')
answer = MemberGateway::Middleware.new(->(env) { env }, {}, anonymous: true).call(env(FILE['vectors'][0]))
MISTAKES << "an unknown key is answered #{answer}" if answer[0] != 401 || answer[2] != ["unknown-key\n"]

# The keys of a site are fetched once, again for an unknown id after a minute, and again after an hour.
keys = MemberGateway::JwkSet.new(ENV.fetch('JWK_SET'))
[[0, '2026-11.ed', true], [1, '2026-12.p256', true], [59, '?', false], [60, '?', false],
 [61, '2026-11.ed', true], [3659, '2026-11.p256', true], [3660, '2026-11.ed', true]].each do |seconds, keyid, expected|
  MISTAKES << "JwkSet: #{keyid} after #{seconds} s" if !keys.fetch_key(keyid, 1_795_300_000 + seconds).nil? != expected
end
begin
  MISTAKES << "JwkSet without a server: #{MemberGateway::JwkSet.new('http://127.0.0.1:1/').fetch_key('?', 0)}"
rescue MemberGateway::Refused => e
  MISTAKES << e.message if e.message != 'keys-unavailable'
end

puts MISTAKES.empty? ? "#{FILE['vectors'].size} vectors" : MISTAKES
exit MISTAKES.empty?
