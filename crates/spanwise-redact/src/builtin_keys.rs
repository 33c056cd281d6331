//! Words of the built-in key rules.
//!
//! A string in [`STRONG`], [`SECRETS`] or [`PII`] is one rule: alternatives separated by `|`. The
//! first alternative is the name of the rule. An alternative is one word or a sequence of words.
//! `(s)` after the last word adds the plural. With a `=` in front, the words must be the whole key,
//! or the whole part after its last dot.

/// Words that make a key secret, wherever they are in the key. The value is shown nevertheless if
/// the key ends in [`SHOWN`] words or one of [`DESCRIPTIVE_WORDS`], or begins with one of
/// [`QUESTION_WORDS`].
pub(crate) const STRONG: &[&str] = &[
    "password(s) | passw | passwd(s) | pass word(s) | pass wd | passwort | kennwort | contrasena | senha | motdepasse | mot de passe | passwrd | pword",
    "passphrase(s) | pass phrase(s)",
    "passcode(s) | pass code(s)",
    "secret(s)",
    "credential(s) | cred(s)",
    "api key(s)",
    "private key(s) | priv key(s) | privkey(s)",
    "access key(s)",
    "signing key(s) | signature key(s)",
    "encryption key(s) | decryption key(s)",
    "authorization(s) | authorisation(s)",
    "access token(s)",
    "refresh token(s)",
    "bearer token(s)",
    "auth token(s) | authentication token(s)",
    "session token(s)",
    "csrf token(s) | xsrf token(s)",
    "session id(s) | sess id(s) | sessid(s) | jsession id",
    "credit card(s) | debit card(s)",
    "card number(s) | card no(s) | card num(s) | cc number | cc no | cc num | ccnum | ccn | card pan",
    "social security",
    "client assertion(s)",
    "mnemonic(s)",
    "connection string(s) | connection str | conn string(s) | conn str | connect string | community string | snmp community",
];

/// Words in other scripts, each with the name of the rule that hides keys ending in the word.
pub(crate) const OTHER_SCRIPTS: &[(&str, &str)] = &[
    ("пароль", "password"),
    ("токен", "token"),
    ("密码", "password"),
    ("密碼", "password"),
    ("口令", "password"),
    ("パスワード", "password"),
    ("비밀번호", "password"),
    ("סיסמה", "password"),
];

/// Words that make a key secret if they are at its end.
pub(crate) const SECRETS: &[&str] = &[
    "auth",
    "sid",
    "sess",
    "otp(s) | hotp",
    "totp(s)",
    "pin(s) | pin number",
    "cvv(s) | cvc | cvn | cvv number",
    "ssn(s) | ssn number",
    "sso",
    "jwt(s)",
    "csrf | csrf header",
    "xsrf | xsrf header",
    "salt(s)",
    "pass | userpass",
    "pwd(s) | pswd | psw",
    "pw(s)",
    "session",
    "cookie(s) | cookie jar | cookie header",
    "token",
    "dsn(s)",
    "psk(s)",
    "bearer",
    "github pat | gitlab pat | azure pat | devops pat",
    "macaroon(s)",
    "passkey(s) | pass key(s)",
    "id tokens | id token hint",
    "secret id | secrets id",
    "access key id",
    "pin code(s)",
    "otp code(s) | one time code(s) | totp code(s) | sms code(s)",
    "mfa code(s) | tfa code(s) | fa code(s) | factor code(s)",
    "cvv code(s) | cvc code(s) | card code | verification value | ccv | card cid | card track | track data | magstripe",
    "recovery code(s) | backup code(s) | scratch code(s)",
    "auth code(s) | authentication code(s) | login code(s) | access code(s) | device code",
    "verification code(s) | verify code | confirm code | email code | phone code | oauth code | confirmation code(s) | activation code(s) | security code(s) | reset code(s) | unlock code(s)",
    "account key(s)",
    "app key(s) | application key(s) | admin key(s)",
    "auth key(s) | authentication key(s)",
    "client key(s) | consumer key(s)",
    "crypto key(s) | cipher key(s) | aes key(s) | symmetric key(s) | fernet key(s) | enc key(s) | encrypt key(s) | decrypt key(s)",
    "key data | key material",
    "deploy key(s)",
    "function key | functions key",
    "hmac key(s) | mac key(s)",
    "integration key | instrumentation key | sas key | sas | restricted key(s)",
    "jwt key(s) | jwe key(s) | jws key(s) | token key(s) | cookie key(s) | otp key(s) | totp key(s)",
    "license key(s) | licence key(s) | license code | activation key(s)",
    "master key(s) | root key(s) | recovery key(s) | unseal key(s) | wrapping key(s) | machine key | validation key | kek | dek",
    "role key",
    "sentry key",
    "server key(s) | service key(s)",
    "session key(s) | sess key",
    "shared key(s) | preshared key(s) | access signature",
    "sign key(s)",
    "ssh key(s) | id rsa | private pem | gpg key(s) | pgp key(s) | rsa key(s) | dsa key(s) | ecdsa key(s) | ed key(s)",
    "storage key(s)",
    "subscription key(s)",
    "tls key(s) | ssl key(s) | cert key(s) | certificate key(s) | ca key | pem key",
    "vendor key(s) | openai key | anthropic key | stripe key | sendgrid key | mailgun key | twilio key | mapbox key | algolia key \
     | datadog key | github key | gitlab key | slack key | google key | aws key | azure key | firebase key | mailchimp key \
     | mistral key | cohere key | gemini key | groq key | deepseek key | cloudflare key | pusher key | relic key | gcp key | honeycomb key",
    "wallet key(s) | xprv | private seed | wallet seed | master seed | otp seed | totp seed",
    "webhook key(s) | web hook key(s) | write key",
    "wifi key | wpa key | wep key | wireguard key | wg key",
    "auth header(s) | authentication header | auth data | auth string",
    "seed phrase(s) | recovery phrase(s) | backup phrase(s) | wallet phrase(s) | seed words | recovery words",
    "code verifier | oauth verifier | pkce verifier",
    "saml response | saml assertion",
    "security answer(s)",
];

/// Words that make a key PII if they are at its end.
pub(crate) const PII: &[&str] = &[
    "email | e mail | email address(es) | mail address(es) | e mail address | email addr | email id",
    "phone(s) | telephone(s) | phone number(s) | phone no | phone num | telephone number | telephone no | tel no | tel number \
     | cellphone | cell phone | cell number | cell no | contact number",
    "mobile | mobile phone | mobile number(s) | mobile no | mobile num",
    "msisdn",
    "tel",
    "=cell",
    "fax | fax number | fax no",
    "first name(s) | given name(s) | forename | fname",
    "last name(s) | family name(s) | surname(s) | lname",
    "middle name | maiden name | birth name",
    "full name(s) | legal name | real name | person name | customer name | patient name | employee name | passenger name \
     | guest name | student name | recipient name | beneficiary name | payer name | payee name | billing name | shipping name",
    "card holder | cardholder | cardholder name | holder name | account holder",
    "dob | birthdate | birth date | birthday | birth day | date of birth | date birth | birth year | year of birth",
    "birthplace | birth place | place of birth",
    "gender",
    "religion",
    "ethnicity",
    "nationality | nationalities",
    "marital status",
    "diagnosis | diagnoses",
    "blood type | blood group",
    "home address(es) | street address(es) | postal address(es) | post address | mailing address(es) | billing address(es) \
     | shipping address(es) | delivery address(es) | residential address | address line(s) | addr line | address street",
    "address",
    "ip",
    "street | street name | house number | house no",
    "postcode(s) | post code | postal code(s) | plz",
    "zip code(s) | =zip | billing zip | shipping zip | home zip | postal zip | customer zip | address zip",
    "passport(s) | passport number(s) | passport no | passport num | passport id",
    "national id | national insurance | national insurance number | national insurance no | nino | identity card | identity number \
     | identity no | id card | id card number | personal id | personal number | personnummer | cpf | curp | aadhaar | aadhar",
    "medical record number | mrn | insurance number | insurance no",
    "tax id | tax number | tax no | tin | taxpayer id | itin | tax file number | sin number | steuer id | vat id",
    "driver license | drivers license | driver licence | drivers licence | driving license | driving licence | license number \
     | licence number | license no | licence no | license plate | licence plate | number plate",
    "iban(s) | iban number | iban no",
    "bank account(s) | bank account number | bank account no | account number(s) | account no | account num | acct number \
     | acct no | acct num",
    "client ip | true client ip | user ip | visitor ip | customer ip",
    "remote ip | remote addr | remote address",
    "forwarded for",
    "=forwarded",
    "real ip | connecting ip",
];

/// Words that make a key harmless if they are at its end. If the words of a rule are at its end,
/// too, the longer sequence of words decides.
pub(crate) const SHOWN: &[&str] = &[
    "public key(s) | public key token",
    "next token | page token | paging token | pagination token | continuation token | sync token | resume token | cursor token",
    "start token | starting token | =end token | stop token | first token | last token | forward token | backward token",
    "eos token | bos token | pad token | unk token | sep token | cls token | mask token | special token",
    "per token | per session | output token | input token | prompt token | completion token | unexpected token | token text",
    "fencing token | cancellation token | cancel token | change token | delta token | skip token | idempotency token | sequence token",
    "tests pass | first pass | second pass | single pass | multi pass | high pass | low pass | render pass | boarding pass | season pass",
    "gpio pin | led pin | output pin | data pin | clock pin",
    "error code(s) | status code(s) | reason code(s) | country code",
    "client address | listen address(es) | bind address(es) | server address(es) | local address(es) | peer address(es) | socket address(es) \
     | source address | destination address | upstream address(es) | host address(es) | mac address | memory address",
];

/// Words that mean, at the end of a key, that the value only describes a secret: its length, its
/// name, its expiry. The value is shown.
pub(crate) const DESCRIPTIVE_WORDS: &str = "id ids uid uuid guid len length lengths size sizes count counts counter total totals sum name names \
    username type types kind kinds category class version versions ver at in on date dates day days time times timestamp ts hour \
    hours minute minutes min mins max minimum maximum sec secs second seconds ms millis month months year years expires expire \
    expired expiry expiration exp ttl age lifetime duration timeout interval period policy policies rule rules regex pattern format \
    formats strength score entropy complexity required require requires requirement requirements enabled enable disabled disable \
    allowed supported optional valid validity invalid validated validation validator verified verification missing present exists \
    empty status state states result results outcome decision success successes set sent rounds generator match mismatch checked ok correct incorrect found mount \
    level failure failures failed fails error errors reason \
    reasons message messages changed change changes updated update updates created rotated rotation reset used usage uses issued revoked \
    granted requested attempts attempt tries retries path paths file files filename dir directory folder location url urls uri uris \
    href endpoint endpoints host hostname port server servers service services provider providers backend backends store storage \
    manager client handler engine plugin driver adapter module source sources origin issuer audience scope scopes role grant alg \
    algo algorithm algorithms method methods mode modes model scheme schemes hasher encoder field fields column columns attribute \
    active inactive label labels placeholder title description prompt env ref refs reference arn index idx position offset limit limits quota \
    budget rate ratio percent cost latency bits brand network company country four prefix owner owners group groups \
    namespace region zone last page pages screen view form dialog modal event events action actions job task flow step strategy feature \
    flag flags hits misses loaded cached ready matches matched equal differ differs";

/// Words that do not change the meaning of a key. They are ignored at its end.
pub(crate) const IGNORED_WORDS: &str = "value values val str string text txt raw plain plaintext clear cleartext hash hashed hashes \
    digest b base hex encoded encrypted old new current previous prev confirm confirmation confirmed repeat repeated again retype \
    default initial temp temporary tmp test testing prod production preprod dev development staging stage stg qa uat sandbox live \
    preview canary local ci primary secondary main alt v json yaml yml pem full \
    github gitlab bitbucket slack discord telegram stripe paypal twilio npm pypi openai anthropic datadog cloudflare heroku";

/// Regions. They are ignored like [`IGNORED_WORDS`], but not recognized in joined words.
pub(crate) const REGION_WORDS: &str = "us eu uk apac asia east west north south central";

/// Words that are not recognized in joined words: `inpass` is not split into `in_pass`.
pub(crate) const NEVER_JOINED: &str = "in at on is v b n nb min can was";

/// Words at the start of a key that make it a question. The value is shown: `has_password`.
pub(crate) const QUESTION_WORDS: &str = "is has have needs need requires should supports";

/// Words at the start of a key that make its value a count, if the key ends in a plural. The value
/// is shown: `max_api_keys`, `number_of_secrets`.
pub(crate) const COUNT_WORDS: &str = "num number count total max min nb n";

/// Words such as `db` and `my` that only serve to split joined words: `dbpassword`, `myapikey`.
pub(crate) const JOINED_WORDS: &str = "db database user usr users my admin root smtp imap pop ftp sftp mysql mssql sql pg postgres \
    postgresql redis mongo mongodb ldap login account mail http https proxy basic app client server web wifi wlan vpn ssh sudo atm \
    sim x php asp jsp connect net our your system sys service svc host site bot github gitlab slack discord telegram twitter aws \
    gcp azure google stripe paypal twilio docker npm vault kafka rabbit amqp mqtt rpc wallet two factor aspx keystore truststore middleware set \
    work private business contact sender customer";

/// Words that are recognized at the end of a word that cannot be split into known words.
pub(crate) const JOINED_SUFFIXES: &str =
    "api token pwd jwt cvv cookie csrf xsrf totp sessid privkey";

/// English words and names that contain the letters of a rule by chance. They are not split.
pub(crate) const ENGLISH_WORDS: &str = "secretary secretaries secretariat secretion secretions secrete secretes secreted secretory \
    secretive secretly passwordless credentialed credentialing betoken possession obsession passport passports oauth openid \
    author authors authored authority authorities authentic authenticated authenticator unauthorized intel secretarial secretor undersecretary subsecretary \
    secretagogue";

/// Words of common keys. They contain none of the trigrams (three consecutive letters) by which
/// keys of secrets are found, so that keys of these words cost little.
pub(crate) const COMMON_WORDS: &str = "order orders status user users latency method duration count path level target customer response \
    request requests retries retry bytes queue worker elapsed region attempt message error errors trace span service host port \
    node pod cluster namespace version build commit event type kind action state reason result created updated timestamp time \
    date timeout limit offset total size length index name route query table column row rows batch item items product price \
    amount currency quantity stock job task thread process memory cpu disk cache hit miss client server peer connection \
    connections pool stream topic partition group consumer producer broker exchange header headers body content format file \
    line function module component operation command record records reply frame packet socket interval delay start end min max \
    avg sum rate ratio percent score weight priority enabled mode phase step stage source destination from to url uri scheme \
    domain zone container image tenant account invoice payment shipment delivery page cursor sequence epoch revision \
    shard replica leader election term vote block hash checksum digest model device platform browser language locale country \
    city feature flag variant experiment metric value unit label tag tags category title summary description comment note";

/// Keys of ids in a fixed format. The text of the id is not scanned.
pub(crate) const TRUSTED_IDS: &[&str] = &["request id", "trace id", "span id", "parent span id"];

/// Attributes of the semantic conventions in which the words of a rule have another meaning.
#[rustfmt::skip]
pub(crate) const EXEMPT_ATTRIBUTES: &[&str] = &[
    "client.address", "server.address", "source.address", "destination.address",
    "network.peer.address", "network.local.address",
];

/// Prefixes of attributes that end with the name of a header.
pub(crate) const HEADER_PREFIXES: [&str; 4] = [
    "http.request.header.",
    "http.response.header.",
    "rpc.grpc.request.metadata.",
    "rpc.grpc.response.metadata.",
];

/// URL parameters that are credentials in a query, and plain words elsewhere.
#[rustfmt::skip]
pub(crate) const QUERY_PARAMETERS: &[&str] = &[
    "key", "code", "sig", "signature", "awsaccesskeyid", "xamzcredential", "xamzsignature",
    "xamzsecuritytoken", "xgoogsignature", "auth", "session", "sessionid", "jwt", "sas",
];
