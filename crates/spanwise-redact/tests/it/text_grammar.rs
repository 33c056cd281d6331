//! The grammar of pairs, the model of credentials and the detectors, case by case.
//!
//! `«…»` marks what the tier of secrets must hide. Nothing else may be hidden.

use spanwise_core::Redact;
use spanwise_redact::Policy;

/// Reports all cases that differ, so that one run shows them all.
#[track_caller]
fn check_with(policy: &Policy, cases: &[&str]) {
    let mut wrong = Vec::new();
    for case in cases {
        let plain = case.replace(['«', '»'], "");
        let mut expected = String::new();
        for (index, part) in case.split(['«', '»']).enumerate() {
            expected.push_str(if index % 2 == 0 { part } else { "[REDACTED]" });
        }
        for text in [&plain, &expected] {
            let shown = policy.text(text);
            if shown != expected {
                wrong.push(format!("{text}\n  became   {shown}\n  expected {expected}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[track_caller]
pub(crate) fn check(cases: &[&str]) {
    check_with(&Policy::secrets(), cases);
    check_with(&Policy::secrets_and_pii(), cases);
}

#[test]
fn separators_and_keys() {
    check(&[
        "password=«Mo0nRi55»",
        "password = «Mo0nRi55»",
        "password: «Mo0nRi55»",
        "password:«Mo0nRi55»",
        "password := «Mo0nRi55»",
        "password => «Mo0nRi55»",
        "password == «Mo0nRi55»",
        "PASSWORD ?= «Mo0nRi55»",
        "password ||= \"«Mo0nRi55»\"",
        ":password => '«Mo0nRi55»'",
        "**Password:** «Mo0nRi55»",
        "**Password**: «Mo0nRi55»",
        "password[]=«Mo0nRi55»",
        "password[0]=«Mo0nRi55»&password[1]=«Elm4Oak»",
        "user[password]=«Mo0nRi55»",
        "user[password][]=«Mo0nRi55»",
        "password[confirmation]=«Mo0nRi55»",
        "user%5Bpassword%5D%5B%5D=«Mo0nRi55»",
        "headers[\"x-api-key\"] = \"«Mo0nRi55»\"",
        "export STOCK_TOKEN=«Mo0nRi55»",
        "STOCK_TOKEN='«Mo0n Ri55»' cargo run",
        "PGPASSWORD=«Mo0nRi55» psql -h db",
        "java -Ddb.password=«Mo0nRi55» -jar stock.jar",
        "docker run -e DB_PASSWORD=«Mo0nRi55» stock",
        "C:\\app\\token=«Mo0nRi55»",
        "C:\\new\\password=«Mo0nRi55»",
        "first\\ntoken=«Mo0nRi55»",
        "first\\tsid=«Mo0nRi55»",
        "stock::auth: connection refused",
        "app::session::token: 12 retries left",
        "Config::password = \"«Mo0nRi55»\"",
    ]);
}

#[test]
fn marks_belong_to_the_value_around_them() {
    check(&[
        // Brackets, and marks that do not end a sentence.
        "dsn=«xtw)_:f8%f8<{:!)» host=db",
        "credit_card=«s7Y7??]](%:»",
        "token: «Bb5GS4<::]<»",
        "(bearer.token=«2u9V<{p|~Nht)|+/]!>»",
        "(token=«Mo0nRi55»)...",
        "(token=«Mo0nRi55»), see [n=1]",
        "Login(user=ada, csrf=«_0gN4rPU<$.<{», n=1)",
        "recoveryCodes: «!G/rNFQ/O24» (attempt 3 of 5)",
        "password: «imzqQmlnP::szLUOkeyC»",
        "token: «imzqQmlnP::szLUOkeyC»",
        "X-Csrf: «!]~/goiex2T1.» (attempt 3 of 5)",
        "X-Api-Key: «IODqk(0xU8E»",
        "X-Api-Key: «IoQF6»)\r\nHost: x",
        // An end tag without its start.
        "signing_key=«e~</TM>7-~=XyQ»",
        "pass=«5~7c*-7Sl</dUtGsb>w)<»",
        "X-Api-Key: «-hmsS_f5t</VZS>»",
        "<log level=\"info\">token=«Mo0nRi55»</log>",
        // A member of a connection string extends to its separator.
        "Server=db;Password=«+ [3Ac8BZk91]1gv?#5p0h»;Encrypt=True",
        "Server=db;Password=«k8L{ L6p6>!u/<=vmU}»;Encrypt=True",
        "Server=db;Password=«`HY`<8tr[*R»;Encrypt=True",
        "Server=db;Password=«`` l1K:d#c4»;Encrypt=True",
        "Server=db;Password=`«Mo0nRi55»`;Encrypt=True",
        "Server=db;Password=«`+$M=T-7`]0%snX2E/u*_»;Encrypt=True",
        "Server=db;Password=«UDSBo [}di=.Z^MnI=V8K»;Encrypt=True",
        // A URL parameter extends to its separator.
        "https://h.example/p?ssn=«Q@+D1),EnD=]EvXSux»&b=2",
        "https://h.example/p?pin=«dqmb%)),1=so,$Ao]%Cdc»&b=2",
        "https://h.example/p?auth_header=«ArWN,]:,9w:sX0PrR6F»&b=2",
        "X-Api-Key: «H%4-z|1SoQ:A://ZIEJ»",
        "https://h.example/p?session_id=«pHk[-o,]p/hj,(p1!7»&b=2",
        "(https://h.example/p?token=«Mo0nRi55»), retry",
        // Text that only starts like a placeholder.
        "export TOKEN=\"«${hEs0z»\"",
        "csrf = \"«<oituY>»\"",
        "csrf = \"<yourToken>\"",
        // Two-word keys after an escape, a quote or a path.
        "{\"note\":\"line one\\nsession id: «mc0hHbP#e]v15»\",\"n\":1}",
        "Note { text: \"secret key: «R4[J#+#x)9»\" }",
        "C:\\app\\recovery codes: «R^Y5p[SLsCZ»",
        "auth header: «m]=T8jzJ?»",
        "social security: «!974+S» (attempt 3)",
        // A string that contains an odd quote.
        "note=\"an odd \\\" quote, pwd='«Q\\\\')qb8X4&»' ok\"",
    ]);
}

#[test]
fn url_passwords_may_contain_urls() {
    check(&[
        "open \"https://ci:«c@/BMwY]A9_8-rS»@git.example/x\" failed",
        "open \"https://ci:«XrS#@3/(*>_|gU/dr<»@git.example/x\" failed",
        "open \"https://ci:«XjA(Wo_0Y]JEQO@Nt3D/»@git.example/x\" failed",
        "open \"https://ci:«R@p/H5nXX(EZy(?N»@git.example/x\" failed",
        "open \"https://ci:«D(H=:Y24&S~a@[wsz%»@git.example/x\" failed",
        "open https://ci:«Mo0nRi55»@[::1]/x",
        "open https://ci:«Mo0nRi55»@registry.example/@acme/pkg",
        "open https://ci:«Mo0nRi55»@registry/@acme.x/pkg",
        "redis://:«EQ~1!IK8#@z#Z9j6yE]&2»@cache:6379/0",
        "redis://:«Je+Q)@7),C:heDu_»@cache:6379/0",
        "redis://:«@r5f}DY+s-DS3D/C],IA3zy»@cache:6379/0",
        "mysql://shop:«gL*i~$ZQLj<E://$l7Ty0>»@db.example:3306/shop",
        "mysql://shop:«)ue{q_5M{-D$U6://»@db.example:3306/shop",
        "[\"redis://:«Mo0nRi55»@cache\",\"ada:25\"]",
        "open \"https://ci:«t2o:AY?@[]Dv[L/p»@git.example/x\" failed",
        "postgres://shop:«doot)b@%y^UY|OU)&»@db.example:5432/shop ok",
        "open \"https://ci:«F_$E_02Fc@Up4_.RHC/nI»@git.example/x\" failed",
        "postgres://shop:«Mo0nRi55»@%2Fvar%2Frun/shop",
        "postgres://shop:«tm://<7;]w(ooET8pB<3)6»@db.example:5432/shop",
    ]);
}

#[test]
fn prose_about_a_secret_may_have_numbers_and_pairs() {
    check(&[
        "password: 3 attempts left, user=ada order=42",
        "password: need 8+ chars",
        "unexpected token: let",
        "unexpected token: =>",
        "token: «let»",
        "wrong password: «got tulip9931,» user=ada",
        "seed phrase (12 words): «orbit lamp tulip»",
        "password (again): «Mo0nRi55»",
        "token (attempt 3): expired",
    ]);
}

#[test]
fn lists_of_yaml() {
    check(&[
        "passwords:\n  «- tulip\n  - Mo0nRi55»\nport: 1",
        "db:\n  api_keys:\n  «- Mo0nRi55\n  - name: ada\n    key: x»\n  port: 1",
        "passwords:\r\n- must have 12 characters\r\n- must not be empty\r\n",
        "password:\n\n- tulip",
    ]);
}

#[test]
fn span_ids_are_not_cards() {
    check(&[
        "span_id=4242424242424242 n=1",
        "{\"spanId\":\"4242424242424242\"}",
        "00-c05b0327dcd53bc27c93d65dae793733-4242424242424242-01",
        "order=«4242424242424242»",
    ]);
}

#[test]
fn values() {
    check(&[
        "password='«it''s Mo0nRi55»'",
        "password=\"«a\"\"b Mo0nRi55»\" x",
        "password=\"«a\\\"b Mo0nRi55»\" x",
        "password = \"\"\"«Mo0n\nRi55»\"\"\"\nuser = 1",
        "password='«Mo0n»'; user='ada'",
        "password='' user='ada'",
        "password=«r\"Mo0nRi55\"»",
        "a=1&password=«Some(\"Mo0nRi55\")»",
        "a=1&secret=«Secret { inner: \"Mo0nRi55\" }»",
        "a=1;secret=«Secret { inner: \"Mo0nRi55\" }»;b=2",
        "Login { user: \"ada\", password: «Ok(\"Mo0n Ri55\")», n: 1 }",
        "Login { password: «Password(\"Mo0n Ri55\")» }",
        "Login { token: \"«tulip»\" }",
        // The output of `{:#?}`.
        "P {\n    passwords: «[\n        \"Mo0nRi55\",\n        \"a\",\n    ]»,\n    n: 1,\n}",
        "P {\n    api_keys: «(\n        \"Mo0nRi55\",\n    )»,\n}",
        "P {\n    secret: «{\n        \"prod\": \"Mo0nRi55\",\n    }»,\n    n: 1,\n}",
        "P {\n    private_key: «[\n        48,\n        130,\n    ]»,\n}",
        "x-session-id: «MOkVZsszNmKSt9Qm»",
        "GITHUB_PAT=«aBcD1234efGH»",
        "Login { token: \"«tulip-moon»\", n: 1 }",
        "could not read token: `stock-db` not found",
        "password=«[\"a b\", \"c\"]» x",
        "user=sa&password=«Mo0n#Ri55»",
        "user=sa&password=«Mo0n&Ri55»&x=1",
        "user=sa&password=«Mo0n;Ri55»",
        "user=sa&password=«Mo0n,Ri55»&n=1",
        "password=«Mo0n\\Ri55» x",
        "password=«Mo0n\"Ri55» x",
        "password=«Mo0n'Ri55» x",
        "password=«Mo0n}Ri55» x",
        "password=«Mo0n)Ri55» x",
        "(password=«Mo0nRi55»)",
        "{password=«Mo0nRi55»}",
        "\"password=«Mo0nRi55»\"",
        "`password=«Mo0nRi55»`",
        "<b>password=«Mo0nRi55»</b>",
        "password=«Mo0nRi55», retrying",
        "password=«Mo0nRi55»; retrying",
        "password=«Mo0nRi55»,user=ada",
        "Server=db;User ID=sa;Password=«Mo0n#Ri55»;Encrypt=True",
        "Server=db;Password=«Mo0n&Ri55»;User ID=sa",
        "Server=db;Password=«oak elm31»;User ID=sa",
        "Password=«oak elm31»;Server=db",
        "Server=db;PWD=«{Mo0n;Ri55}»;Database=x",
        "DefaultEndpointsProtocol=https;AccountName=stock;AccountKey=«cXVpZXQtbWVhZG93==»;EndpointSuffix=x",
        "Endpoint=sb://stock.example/;SharedAccessKeyName=root;SharedAccessKey=«cXVpZXQ/bWVh+ZG93=»;EntityPath=q",
        "host=db port=5432 user=stock password=«Mo0n,Ri55» dbname=stock",
        "host=db password='«Mo0n \\'Ri55»' user=stock",
        "sasl.jaas.config=org.apache.kafka.PlainLoginModule required username=\"stock\" password=\"«Mo0nRi55»\";",
        "https://h.example/p?a=1&password=«Mo0n,Ri55»&b=2#top",
        "/p?password=«Mo0n'Ri55»&b=2",
        "/p?password=«Mo0n;Ri55»",
        "https://h.example/p;token=«Mo0nRi55?x=1»",
        "jdbc:mysql://db/stock?user=root&password=«Mo0n#Ri55»&ssl=1",
        "jdbc:sqlserver://db:1433;user=sa;password=«Mo0n#Ri55»;encrypt=true",
        "https://h.example/cb?code=«SplxlOBeZQQYbYS6WxSbIA»&state=x",
        "https://h.example/cb?code=NOT_FOUND&error=access_denied",
        "https://h.example/cb?code=404&key=user.created",
        "GET /cb?code=invalid_request",
        "https://h.example/x?sig=«abcdefghijkl»",
        "password: |\n  «Mo0n\n  Ri55»\nuser: ada",
        "password%3D«Mo0nRi55»%26user%3Dada",
        "user%3Dada%26password%3D«Mo0nRi55»",
        "next=%2Flogin%3Ftoken%3D«Mo0nRi55»&x=1",
        "q=%7B%22password%22%3A%22«Mo0nRi55»%22%2C%22n%22%3A1%7D",
        "a%253D1%2526password%253D«Mo0nRi55»",
        "<user><password>«Mo0nRi55»</password></user>",
        "<wsse:Password Type=\"x\">«Mo0nRi55»</wsse:Password>",
        "usage: login <user> <password> <token>",
        "authorization=«Bearer Mo0nRi55» next",
        "Authorization: «Basic YTpi»\r\nHost: x",
        "Set-Cookie: «sid=Mo0nRi55; Path=/»\nHost: x",
        "Cookie: «a=b; c=d»",
        "X-Api-Key: «Mo0nRi55»\nHost: x",
    ]);
}

#[test]
fn placeholders_and_absent_values() {
    check(&[
        "password=null token=None secret=undefined session=false auth=true",
        "UPDATE users SET password = ? WHERE id = ?",
        "UPDATE users SET password = $1, token = $2",
        "INSERT ... password = :password, pin = @pin",
        "password=%s token=%(token)s secret={} pin={0}",
        "password=${DB_PASSWORD} token=$STOCK_TOKEN secret=${{ secrets.STOCK }}",
        "password={{ vault.password }}",
        "password=<password> token=<your-token>",
        "password=*** token=[FILTERED] secret=xxxxx pin=[hidden]",
        "postgres://user:***@db/x postgres://user:${DB_PASSWORD}@db/x",
        "password=-",
    ]);
}

#[test]
fn prose_after_a_colon_is_shown() {
    check(&[
        "login failed: could not check token: InvalidSignature",
        "failed to verify token: InvalidSignature",
        "invalid password: must have at least 12 characters",
        "cannot set cookie: value has invalid characters",
        "session: expired",
        "unexpected token: `}` in rule 3",
        "unexpected token: '<'",
        "Unexpected token: , at line 3",
        "auth: provider answered 503",
        "auth: 401 Unauthorized",
        "auth: 503",
        "authorization: denied for role viewer",
        "could not mount secret: stock-db: permission denied",
        "salt: 16 bytes",
        "token: not found",
        "token: missing field `exp` at line 1 column 20",
        "could not parse token: expected 3 parts, got 2",
        "could not decode token: Json(Error(\"missing field `exp`\", line: 1, column: 20))",
        "password: required",
        "password: too short",
        "cookie: none",
        "failed to open credentials: /etc/stock/credentials.json: No such file or directory (os error 2)",
        "could not fetch token: https://idp.example/token: connection refused",
        "session: keycloak returned an error",
        "secret: vault is sealed",
        "could not refresh token: error sending request for url (https://idp.example/token)",
        "jwt: the token has expired",
        "token: TokenExpired",
        "auth: PermissionDenied: no role",
        "password: expired, please choose another",
        "authorization: token expired",
        "PWD=/home/ada OLDPWD=/ pwd: /home/ada/stock",
        "pass=12 fail=0",
    ]);
}

#[test]
fn credentials_after_a_colon_are_hidden() {
    check(&[
        "password: «Mo0nRi55»",
        "could not log in with password: «tulip9931»",
        "password: «tulip»",
        "password: «hunter», retrying",
        "login with password: «tulip» for ada",
        "wrong password: «got tulip9931»",
        "token: «a1b2c3d4e5»",
        "secret: «stock-9931-moon»",
        "session: «0a1b2c3d4e5f»",
        "pin: «4217»",
        "cvv: «123»",
        "passphrase: «correct moon river lamp»",
        "passphrase=«correct moon river lamp»",
        "seed phrase: «tulip river moon lamp oak elm stone water»",
        "mnemonic: «abandon ability able about» next=1",
        "token: «InvalidMo0nRi55x»",
        "Authorization: «token abcdef»",
        "PWD=«Mo0nRi55» pass=«1234»",
        "session id: «mc0hHbPv15Wf8»",
        "X-Api-Key: «ES5A?$>6:OA3OKVd»",
        "API key: «Mo0nRi55», private key = «Mo0nRi55»",
    ]);
}

#[test]
fn passwords_that_read_as_names_of_errors_are_hidden() {
    check(&[
        "password: «BadWolf42»",
        "password: «ResetMe99»",
        "password: «DeadPool7»",
        "password: «MatchPoint1»",
        "password: «TooManySecrets»",
        "password: «LostAndFound»",
        "passphrase: «BrokenArrow»",
        "password: «MissingLink»",
        "password: «SecretSignature»",
        "password: PasswordExpired",
        "passcode: BadRequest: no role",
        "password: InvalidPassword",
        "password: InvalidPasswordError: try again",
        "password: PasswordError::TooShort",
        "token: «k8xw-p2qr-m4nt:» expired",
        "token: stock-db-v2: expired",
    ]);
}

#[test]
fn codes_and_passwords_are_not_counts() {
    check(&[
        "otp: «482193» expired",
        "verification code: «482193» expired",
        "pin: «4821» of user ada",
        "pin: «4821» digits",
        "otp: «123 456» expired",
        "otp: «12 34 56», valid for 10 minutes",
        "password: «4821993» created",
        "password: «482» found",
        "otp: 6 digits expected",
        "password: 8 to 64 characters",
        "otp: 2 attempts left",
    ]);
}

#[test]
fn passphrases_are_hidden_with_any_words() {
    check(&[
        "seed phrase: «1. orbit 2. gravel 3. lamp 4. stone 5. elm 6. oak»",
        "seed phrase: «1) orbit 2) gravel 3) lamp»",
        "seed phrase: «1.orbit 2.gravel 3.lamp»",
        "seed phrase: «1 orbit 2 gravel 3 lamp»",
        "seed phrase: «orbit, gravel, lamp, stone»",
        "mnemonic: must have 12 words",
        "mnemonic: 12 words expected",
        "mnemonic: wrong checksum",
    ]);
    // Words of the usual list that also occur in sentences.
    let words = "must wrong that this then there they what when where will you all any have can \
                 more other such under until use used valid unknown illegal absent error empty \
                 broken idle ready success match present found okay need require reject expire \
                 length version key token secret code word minute hour day month second half \
                 open left total item";
    for word in words.split_whitespace() {
        for phrase in [
            format!("mnemonic: «{word} orbit gravel lamp stone»"),
            format!("mnemonic: «orbit {word} gravel lamp stone»"),
            format!("mnemonic: «1. {word} 2. orbit 3. gravel»"),
            format!("mnemonic: «orbit gravel {word} {word} stone»"),
        ] {
            check(&[&phrase]);
        }
    }
}

#[test]
fn passwords_that_are_common_words_are_hidden() {
    check(&[
        "password: «secret» for user ada",
        "password: «default» in use",
        "password: «system» in use since 10:00",
        "password: «secret» rejected",
        "unknown password: \"«tulip»\"",
        "expected password: \"«hunter»\", got nothing",
        "unknown token: \"«tulip»\"",
        "unexpected token: \"else\"",
        "password: «token from» cache",
        "password: password is in the list of common ones",
        "password: policy requires 12 characters",
        "password: hash mismatch",
        "password: signature verification failed",
    ]);
    check_with(
        &Policy::secrets(),
        &["password: «root» from 203.0.113.7 port 22"],
    );
}

#[test]
fn passwords_that_look_like_placeholders_are_hidden() {
    check(&[
        "password=«@monkey»",
        "password=«{monkey}»",
        "password=«@pinkpanther»",
        "password=«:keystone»",
        "password: «{noop}Mo0nRi55»",
        "password: «{bcrypt}$2a$10$abc»",
        "password=@db_password, token=:apiKey, pin={pin}, secret={clientSecret}",
        "password: {what}, and more",
    ]);
}

#[test]
fn user_rules_hide_every_value() {
    let policy = Policy::secrets().hide("employee_no").unwrap();
    check_with(
        &policy,
        &[
            "employee_no=«true»",
            "employee_no: «expired»",
            "employee_no: «not» found",
            "{\"employee_no\":\"«yes»\"}",
            "employee_no=«?»",
            "run --employee-no «1234»",
        ],
    );
}

#[test]
fn urls() {
    check(&[
        "redis://default:«k9/Vx2mQ»@cache:6379/0",
        "postgres://shop:«tr/ee7Wq»@db/shop",
        "mysql://root:«rk#72vLw»@db/shop",
        "postgres://shop:«oak elm31»@db/shop",
        "postgres://shop:«oak\"elm31»@db/shop",
        "postgres://shop:«oak'elm31»@db/shop",
        "postgres://shop:«oak@elm31»@db/shop",
        "postgres://shop:«oak:elm31»@db/shop",
        "postgres://shop:«oak?elm31»@db/shop",
        "postgres://shop:«oak\\elm31»@db/shop",
        "postgres://shop:«oak)elm31»@db/shop",
        "\"postgres://shop:«oak,elm31»@db/shop\",\"ada@x\"",
        "postgres://shop:«12345»@db/shop",
        "redis://:«Mo0nRi55»@cache:6379",
        "mongodb+srv://shop:«Mo0nRi55»@cluster0.example.net/shop?retryWrites=true",
        "amqp://guest:«Mo0n%2FRi55»@mq:5672/%2F",
        "amqp://a:«Mo0n1»@mq1,amqp://b:«Mo0n2»@mq2",
        "ftp://ada:«Mo0nRi55»@files.example/pub",
        "smtp://ada@shop.example:«Mo0nRi55»@mail.shop.example:587",
        "snowflake://ada:«Mo0nRi55»@acct/db",
        "https://0123456789abcdef:«0123456789abcdef»@o1.ingest.example/2",
        "mongodb://acct:«Mo0nRi55==»@acct.mongo.example:10255/?ssl=true&appName=@acct@",
        "postgres://u:«p@ss»@h/x?x=1",
        "https://x.example:8443/a@b",
        "http://host:8080/path?to=a@b",
        "http://[::1]:8080/a@b",
        "git@github.com:org/repo",
        "https://registry.example/@scope/pkg",
        "docker://stock:1.25@sha256:5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
        "http://localhost:3000",
        "https://h.example:443.",
        "jdbc:oracle:thin:stock/«Mo0nRi55»@//db:1521/x",
        "jdbc:oracle:thin:@//db:1521/x",
        "stock:«Mo0nRi55»@tcp(db:3306)/stock?parseTime=true",
        "using: \"stock:«Mo0n:Ri@55»@unix(/run/mysqld.sock)/stock\"",
        "db.internal:5432:stock:stock:«Mo0nRi55»",
        "*:*:*:stock:«Mo0nRi55»",
    ]);
}

#[test]
fn sql_and_files() {
    check(&[
        "CREATE USER stock IDENTIFIED BY '«Mo0nRi55»'",
        "CREATE USER stock IDENTIFIED BY «Mo0nRi55»;",
        "create user 'stock'@'%' identified by '«it''s Mo0nRi55»'",
        "ALTER USER stock PASSWORD '«Mo0nRi55»'",
        "ALTER ROLE stock WITH ENCRYPTED PASSWORD '«Mo0nRi55»' VALID UNTIL 'infinity'",
        "CREATE LOGIN stock WITH PASSWORD = '«Mo0nRi55»'",
        "SET PASSWORD FOR 'stock'@'%' = PASSWORD('«Mo0nRi55»')",
        "CREATE USER stock IDENTIFIED BY ?",
        "{\"note\":\"password(\",\"list\":[\"password(\",1,\"x\"]}",
        "orders are identified by their number",
        "machine db.example login ada password «Mo0nRi55»",
        "FATAL: password authentication failed for user \"shop\"",
    ]);
}

#[test]
fn commands() {
    check(&[
        "mysql -u root -p«Mo0nRi55» stock",
        "mysql -u root -p stock",
        "/usr/bin/mysqldump -p'«Mo0n Ri55»' stock",
        "sshpass -p «Mo0nRi55» ssh ada@host",
        "docker login -u ada -p «Mo0nRi55» registry.example",
        "docker run -p 8080:80 stock",
        "curl -u ada:«Mo0nRi55» https://h.example",
        "curl --user ada:«Mo0nRi55» https://h.example",
        "curl -H 'X-Api-Key: «Mo0nRi55»' https://h.example",
        "redis-cli -a «Mo0nRi55» ping",
        "stockctl --password «Mo0nRi55» --user ada",
        "stockctl --password=«Mo0nRi55» --user ada",
        "stockctl --api-token «tulip» list",
        "x --pin «4217»",
        "{\"note\":\"x --bearer \"}",
        "Note { text: \"\\tcurl -u ops:«mIAnr7DnR» https://api.example\", n: 1 }",
        "first\\ncurl --user 'ops:«mIAnr7DnR»' https://api.example",
        " --pw «abc1»",
        "x \"--pw\" \"«a1»\"",
        "[\"stockctl\", \"--password\", \"«Mo0nRi55»\"]",
        "keytool -storepass «Mo0nRi55» -list",
        "openssl rsa -passin pass:«Mo0nRi55» -in key.pem",
        "openssl rsa -passin env:KEY_PASS -in key.pem",
        "smbclient //host/share -U ada%«Mo0nRi55»",
        "sqlplus stock/«Mo0nRi55»@db",
        "htpasswd -b users.txt ada «Mo0nRi55»",
        "rabbitmqctl add_user ada «Mo0nRi55»",
        "use --password to set it, or --token",
        "--password <PASSWORD>  The password",
        "--api-token TOKEN",
        "the option --password is required",
        "7z a -p«Mo0nRi55» out.7z in",
    ]);
}

#[test]
fn tokens() {
    let alnum = "aB3dE6gH".repeat(30);
    let hex = "0123456789abcdef".repeat(20);
    let (a, h) = (|n: usize| &alnum[..n], |n: usize| &hex[..n]);
    let cases = [
        format!("tok_«ghp_{}»", a(36)),
        format!("my_key_«glpat-{}»", a(20)),
        format!("«key-{}»", h(32)),
        format!("cache-key-{}", h(32)),
        format!("«1//0{}»", a(40)),
        format!("«ATATT3xFfGF0{}»", a(170)),
        format!("«dop_v1_{}»", h(64)),
        format!("«PMAK-{}-{}»", h(24), h(34)),
        format!("«NRAK-{}»", a(27).to_uppercase()),
        format!("«oy2{}»", a(43).to_lowercase()),
        format!("«sbp_{}»", h(40)),
        format!("«{}.atlasv1.{}»", a(14), a(64)),
        format!("«figd_{}»", a(40)),
        format!("«sk-{}»", a(48)),
        format!("«sk-or-v1-{}»", h(64)),
        format!("«gsk_{}»", a(52)),
        format!("«xkeysib-{}-{}»", h(64), a(16)),
        format!("«MTA{}.GaBc1d.{}»", a(21), a(38)),
        "https://api.telegram.org/bot«704518823:AAGq7tWzLm2KxVb9Rn4YcPd6HsJfEu1TaQo»/getMe".to_owned(),
        "bot token «704518823:AAGq7tWzLm2KxVb9Rn4YcPd6HsJfEu1TaQo»".to_owned(),
        format!("https://discord.com/api/webhooks/123456789012345678/«{}»", a(68)),
        format!("https://stock.webhook.office.com/webhookb2/«{0}@{0}/IncomingWebhook/{0}»", h(32)),
        format!("https://hooks.zapier.com/hooks/catch/«123456/{}/»", a(7)),
        format!("https://maker.ifttt.com/trigger/alarm/with/«key/{}»", a(22)),
        format!("hash «$2b$12${}»", a(53)),
        "«-----begin rsa private key-----\nabc\n-----end rsa private key-----» x".to_owned(),
        "«-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----» x".to_owned(),
        "«-----BEGIN PGP PRIVATE KEY BLOCK-----\nabc\n-----END PGP PRIVATE KEY BLOCK-----» x".to_owned(),
        "«---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nabc\n---- END SSH2 ENCRYPTED PRIVATE KEY ----» x".to_owned(),
        "PuTTY-User-Key-File-3: ssh-rsa\nPublic-Lines: 1\nAAAA\n«Private-Lines: 1\nBBBB\nPrivate-MAC: 0a1b»\nx".to_owned(),
        "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----".to_owned(),
        "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----".to_owned(),
    ];
    check(&cases.iter().map(String::as_str).collect::<Vec<_>>());
}

/// A token across the scan limit is not shown in part.
#[test]
fn tokens_at_the_scan_limit_are_hidden() {
    let policy = Policy::secrets();
    let policy: &dyn Redact = &policy;
    let part = "aB3dE6gH".repeat(1_024);
    let token = format!("eyJhbGciOiJIUzI1NiJ9.eyJ{part}.{}", &part[..43]);
    let budget = <dyn Redact>::MAX_SCAN_LEN;
    for start in [
        61_440,
        budget - token.len(),
        budget - 4_000,
        budget - 24,
        budget - 3,
        budget,
    ] {
        for before in [
            " ",
            "(",
            "token=",
            "token: ",
            "\"token\":\"",
            "Bearer ",
            "https://h/?t=",
        ] {
            let line = &"a line of a log ".repeat(5_000)[..start - before.len() - 1];
            let text = format!("{line} {before}{token} end of the text");
            let shown = policy.redact_text(&text);
            let pieces = ["eyJ", "aB3dE6gH"];
            let leaks = pieces.iter().any(|piece| shown.contains(piece));
            assert!(!leaks, "{start} {before:?}");
        }
    }
}

#[test]
fn numbers() {
    check(&[
        "card «4111.1111.1111.1111», «4111-1111-1111-1111», «4111 1111 1111 1111»",
        "ratio 0.4221165755827173",
        r#"{"score":0.4751377011785636,"n":4111111111111111.5}"#,
        "took 4242.4242424242424 s",
        "41111111.11111111",
    ]);
}

#[test]
fn personal_data() {
    check_with(
        &Policy::secrets_and_pii(),
        &[
            "mail «info@müller.example» or «o'hara@shop.example»",
            "phone=«+49 171 5550123» user=ada",
            "mobile: «0171-555 01 23»",
            "phone=«+49 (171) 555-01-23», city=Berlin 12 20",
            "account_no=«12 34 56» rows=3",
            "mail «jürgen@example.org», «用户@例子.广告».",
            "x «ATXx47KE@701c.example.org»é«203.0.113.7»",
            "it's “«ada@example.org»” she said",
            "'«ada@example.org»'",
            "from «203.0.113.77» to 10.2.3.4 and 192.168.1.9, 172.16.0.1",
            "upstream=10.2.3.4:5432 [fe80::1]:443 [fd12:3456::1]:80 127.0.0.1:8080 169.254.1.1",
            "from [«2001:db8::1»]:443",
            "conversion: «203.0.113.7»",
            "app_version=1.2.3.4 v1.2.3.4 Chrome/120.0.60.109 version 1.2.3.4, OID 1.3.6.1",
            "upgraded from 1.2.3.4 to 1.2.3.5",
            "1.3.6.1.4.1.311",
            "full_name: «Ada Lovelace», n=1",
            "git@github.com:org/repo npm @scope/pkg logo@2x.png",
        ],
    );
}

#[test]
fn short_secret_at_the_end_of_a_text_is_hidden() {
    check(&[
        "machine db login ada password «x1»",
        "machine db login ada password «abc1»",
        "ALTER USER ada PASSWORD '«x9»'",
        "ALTER USER ada PASSWORD '«x9»';",
        "CREATE USER a IDENTIFIED BY «p1»",
        "mysql -p«ab1»",
        "7z a -p«ab1» f",
    ]);
}
