//! Secrets and harmless values in texts, and the text around them.

use spanwise_core::Redact;
use spanwise_redact::{Action, Detector, Policy};

/// `«…»` marks in `text` what must be hidden.
#[track_caller]
fn check(text: &str) {
    let plain = text.replace(['«', '»'], "");
    let mut expected = String::new();
    for (index, part) in text.split(['«', '»']).enumerate() {
        expected.push_str(if index % 2 == 0 { part } else { "[REDACTED]" });
    }
    let policy = Policy::secrets_and_pii();
    assert_eq!(policy.text(&plain), expected, "of {plain}");
    assert_eq!(policy.text(&expected), expected, "read again");
}

#[test]
fn keys_in_text_hide_their_values() {
    for text in [
        "login password=«hunter2» ok",
        "password: «hunter2»",
        "PASSWORD = «hunter2», next",
        "db_password='«hunter 2»' x",
        "password=\"«hunter 2»\" x",
        "password=\"«never closed",
        "pwd=«a»;user=ada",
        "api-key=«abc» apiKey=«abc» X_API_KEY: «abc»",
        r#"{"password":"«hunter2»","user":"ada"}"#,
        r#"{"password": "«a\"b»", "n": 1}"#,
        r#"{"user":{"home":{"token":"«abc»"}}}"#,
        r#"{"body":"{\"password\":\"«hunter2»\",\"user\":\"ada\"}"}"#,
        r#"{"body":"{\"password\":\"«a\\\"b»\",\"n\":1}"}"#,
        r#"{"a":"{\"b\":\"{\\\"pin\\\":\\\"«1234»\\\",\\\"n\\\":1}\"}"}"#,
        r#"User { name: "ada", password: "«hunter2»", age: 36 }"#,
        r#"User { token: «Some("abc def")», age: 36 }"#,
        r#"User { credentials: «Credentials { user: "a", pass: "}b" }», age: 36 }"#,
        r#"{"authorization": "«Bearer abc»", "host": "x"}"#,
        "authorization=«Bearer abc» host=x",
        "Authorization: «Digest username=\"x\", realm=y»
Host: x",
        "curl -H 'Authorization: «Basic x»' http://h",
        "Cookie: «a=b; c=d»\nHost: x",
        "Request {\n    authorization: «Some(\n        \"Bearer abc\",\n    )»,\n    n: 1,\n}",
        r#"Request { cookie: «Some("a=b; c=d")», n: 1 }"#,
        r#"Request { note: "say \"hi", cookie: «Some("a=b; c=d")», n: 1 }"#,
        r#"Request { note: "say \"hi", cookie: «[("a", "b"), ("c", "d")]», n: 1 }"#,
        "line\\npin=«1234» x",
        "headers[\"cookie\"] = \"«a=b»\"",
        "https://h/p?user=ada&password=«a,b»&x=1",
        "https://h/p?sig=«abcdefgh12»&x=1",
        "https://h/cb?code=«SplxlOBeZQQYbYS6WxSbIA»#top",
        "client_secret => «abc»",
        "password := \"«hunter2»\" and pin:=«1234»",
        "email=«ada@example.org»",
        "my_access_tokens=«abc»",
        "{\"password\"\n:\n\"«hunter2»\"}",
        "{\"password\" \r\n\t: \"«hunter2»\"} x",
        "secret:«/Zm9vYmFy» token:«/abc» x",
        "user[password]=«hunter2»&x=1",
        "/p?user[password]=«a,b»&user[0][pin][]=«1,2»&x=1",
        "/p?user%5Bpassword%5D=«a,b»&user%5b0%5d%5bpin%5d%5b%5d=«1,2»&x%5B1%5D=1",
        "POST user[name]=ada&user[password]=«a,b»",
    ] {
        check(text);
    }
}

#[test]
fn lists_are_hidden_in_the_debug_of_json() {
    let policy = Policy::secrets();
    let value = serde_json::json!({"recovery_secrets": ["hunter2", ["hunter 2"]], "n": 1});
    assert_eq!(
        policy.text(&format!("{value:?}")),
        r#"Object {"n": Number(1), "recovery_secrets": "[REDACTED]"}"#
    );
    let shown = policy.text(&format!("{value:#?}")).into_owned();
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(shown.contains("\"n\": Number(1)"), "{shown}");
}

#[test]
fn non_string_json_values_stay_valid_json() {
    let policy = Policy::secrets();
    for (text, expected) in [
        (r#"{"pin":1234,"n":1}"#, r#"{"pin":"[REDACTED]","n":1}"#),
        (
            r#"{"credentials":{"a":["b]"]},"n":1}"#,
            r#"{"credentials":"[REDACTED]","n":1}"#,
        ),
        (
            r#"{"b":"{\"pin\":1234}"}"#,
            r#"{"b":"{\"pin\":\"[REDACTED]\"}"}"#,
        ),
    ] {
        let shown = policy.text(text);
        assert_eq!(shown, expected);
        serde_json::from_str::<serde_json::Value>(&shown).unwrap();
    }
}

#[test]
fn credentials_are_known_by_their_form() {
    let long =
        |text: &str, length: usize| text.repeat(length / text.len() + 1)[..length].to_owned();
    let (alnum, hex) = (long("aB3dE6gH", 300), long("0123456789abcdef", 100));
    for text in [
        "got «eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl» end".to_owned(),
        "«eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn»".to_owned(),
        format!("x «ghp_{}» y", &alnum[..36]),
        format!("«ghs_{}.{}»", &alnum[..20], &alnum[..20]),
        format!("«github_pat_{}»", &alnum[..70]),
        format!("«glpat-{}»", &alnum[..20]),
        "id «AKIAIOSFODNN7EXAMPLE» used".to_owned(),
        "«A3TXIOSFODNN7EXAMPLE»".to_owned(),
        "aws_secret_access_key = \"«wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»\"".to_owned(),
        format!("«sk_{}_{}» «rk_{0}_{1}»", "live", &alnum[..24]),
        format!("«whsec_{}»", &alnum[..32]),
        format!("«xoxb-{}» «xoxe.xoxp-1-{0}»", "123456789012-abcdefgh"),
        format!("https://hooks.slack.com/services/{}", "x").replace('x', "T0/B0") + "",
        format!("«AIza{}»", &alnum[..35]),
        format!("«ya29.{}» «GOCSPX-{}»", &alnum[..40], &alnum[..28]),
        format!("«sk-ant-api03-{}»", &alnum[..95]),
        format!("«sk-proj-{}»", &alnum[..48]),
        format!("«sk-{}T3BlbkFJ{}»", &alnum[..20], &alnum[..20]),
        format!("«npm_{}» «dop_v1_{}»", &alnum[..36], &hex[..64]),
        format!("«hvs.{}»", &alnum[..95]),
        format!("Bearer «{}»", &alnum[..20]),
        "bearer «mF_9.B5f-4.1JqMx» x".to_owned(),
        "token «0123456789abcdefabcd»".to_owned(),
        "Basic «QWxhZGRpbjpvcGVuIHNlc2FtZQ==» x".to_owned(),
        "postgres://app:«p@ss:w0rd»@db:5432/x".to_owned(),
        "redis://:«secret»@cache/0".to_owned(),
        format!("https://«{}»@o1.ingest.sentry.io/2", &hex[..32]),
        "a\n«-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----»\nb".to_owned(),
        "«-----BEGIN PRIVATE KEY-----\nnever ends".to_owned(),
        "paid with «4111111111111111», «4111 1111 1111 1111» 12/30 or «5500-0000-0000-0004»"
            .to_owned(),
        "amex «3782 822463 10005» «378282246310005»".to_owned(),
        "order 12 «4111 1111 1111 1111» 99".to_owned(),
        "ssn «123-45-6789».".to_owned(),
        "mail «ada.l+x@mail.example.co.uk», «a@b.io».".to_owned(),
        "postgres://shop:«s3cr3t»@db.example/shop".to_owned(),
        "from «203.0.113.7»:443, «198.51.100.2».".to_owned(),
        "from «203.0.113.7»/24 «203.0.113.0»/32 «203.0.113.0»/25 «203.0.113.0»/24/7 «203.0.113.0»/24a".to_owned(),
        "from «2001:db8:1::1»/48 «2001:db8:1::»/64".to_owned(),
        "GET /geoip/«203.0.113.7» https://h/whois/«203.0.113.7»/net".to_owned(),
        "from [«2001:db8::1»]:443 fe80::1%eth0 [fd00::7]:443 ::1".to_owned(),
        "ip:«2001:db8:0:0:8a2e::7334» x".to_owned(),
        "pay to «DE02120300000000202051», «GB29 NWBK 6016 1331 9268 19».".to_owned(),
    ] {
        check(&text);
    }
}

#[test]
fn lookalike_keys_have_no_value() {
    for text in [
        "secret://vault/a token://x",
        "the password\n: is not here",
        "tokens[password]: 1, names[token] = 2",
        "x[]=1&[]=2&]=3",
    ] {
        check(text);
    }
}

#[test]
fn counts_list_every_rule_that_matched() {
    let policy = Policy::secrets();
    let clone = policy.clone();
    let _ = clone.text("password=a 4111111111111111 password=b");
    assert_eq!(
        policy.counts(),
        [("card".to_owned(), 1), ("key password".to_owned(), 2)]
    );
}

#[test]
fn texts_are_hidden_beyond_the_scan_limit() {
    let policy = Policy::secrets();
    let long = format!(
        "{} password=hunter2 {}",
        "word ".repeat(100),
        "é".repeat(50_000)
    );
    let policy: &dyn Redact = &policy;
    let shown = policy.redact_text(&long);
    assert!(shown.ends_with("[REDACTED]") && !shown.contains("hunter2"));
    assert!(shown.len() < 65 * 1024, "{}", shown.len());
    // A token that begins before the scan limit.
    for shift in 0..60 {
        let token = format!(
            "{}ghp_{}",
            "x ".repeat(32_740) + &"y".repeat(shift) + " ",
            "a".repeat(36)
        );
        assert!(!policy.redact_text(&token).contains("ghp_"), "{shift}");
    }
}

#[test]
fn detectors_can_be_switched_off() {
    let policy = Policy::secrets().without_detector(Detector::Card);
    assert_eq!(policy.text("4111111111111111"), "4111111111111111");
}

#[test]
fn long_texts_are_counted() {
    let card = "4111111111111111";
    // Below the scan limit of 64 KiB.
    let text = format!("{}{card}", "1".repeat((1 << 15) - 16) + " ");
    let policy = Policy::secrets();
    assert!(policy.text(&text).ends_with(" [REDACTED]"));
    assert_eq!(policy.counts(), [("card".to_owned(), 1)]);
}

#[test]
fn shortest_tokens_are_found_at_any_offset() {
    let ends = "a".repeat(24);
    let shortest = [
        ("eyJabcdefgh..", Detector::Jwt),
        ("xapp-abcdefgh", Detector::Slack),
        ("xoxb-abcdefghij", Detector::Slack),
        ("basic YTpiOmM6", Detector::Basic),
        ("bearer abcdefghijklmno1", Detector::Bearer),
        ("token abcdefghijklmno1", Detector::Bearer),
        ("sk_test_abcdefghij", Detector::Stripe),
        ("AKIAABCDEFGHIJKLMNOP", Detector::AwsKeyId),
        ("a://:b@", Detector::UrlUserinfo),
        ("a@b.cd", Detector::Email),
        ("8.8.8.8", Detector::Ipv4),
        ("2a00::", Detector::Ipv6),
        ("078-05-1120", Detector::Ssn),
        ("4222222222222", Detector::Card),
        ("NO9386011117947", Detector::Iban),
    ];
    for (secret, detector) in shortest {
        let policy = Policy::secrets_and_pii();
        let mut texts = 0;
        for before in 0..20 {
            for after in 0..20 {
                let (before, after) = (&ends[..before], &ends[..after]);
                let text = format!("{before} {secret} {after}");
                assert!(policy.text(text.trim()).contains("[REDACTED]"), "{text}");
                texts += 1;
            }
        }
        let count = (detector.name().to_owned(), texts);
        assert!(policy.counts().contains(&count), "{:?}", policy.counts());
    }
}

#[test]
fn elements_inside_cdata_are_hidden() {
    for text in [
        "<payload><![CDATA[<password>«tulip»</password>]]></payload>",
        "<payload>\n<![CDATA[<a><pin>«4821»</pin></a>]]>\n</payload><pin>«4822»</pin>",
        "<![CDATA[ok]]><password><![CDATA[«tulip»]]></password>",
        "<x><![CDATA[<password><![CDATA[«tulip» ]]> </password>]]></x>",
        // A text that is truncated in a section.
        "<payload><![CDATA[<password>«tulip»</password><na",
        r#"{"body":"<payload><![CDATA[<password>«tulip»</password>]]></payload>","n":1}"#,
        "<payload><![CDATA[<name>ada</name>]]></payload>",
        // Sections that are truncated, divided, or a part of the text.
        "<password><![CDATA[«tulip»",
        "<password><![CDATA[«tulip»]]>",
        "<password><![CDATA[«tul]]><![CDATA[ip99»]]></password>",
        "<password><![CDATA[«tul]]><![CDATA[ip99»",
        "<password>«tul<![CDATA[ip99]]>»</password>",
        "<password><![CDATA[tulip]]> <user>ada</user>",
    ] {
        check(text);
    }
}

#[test]
fn numbers_near_test_counts_may_be_passwords() {
    for text in [
        "login user=ada pass=«482913» failed",
        "pass: «482913» failed",
        "pass: «482913» failed: 401 Unauthorized",
        "login pass=«482913» failed, attempt=3",
        "pass=«4821» skipped because failed_attempts=3",
        "pass=«4821» fail_reason=7x",
        "login user=ada pass=«482913» auth_failed=1",
        "login pass=«482913» logins_failed=3",
        "login user=ada pass=«482913» failed: 401",
        "login user=ada pass=«482913», failed: 401.",
        "pass=«482913», 3 failed attempts",
        "pass=12 failure=2",
        r#"ran "pass": 12, "failing": 1"#,
        "pass=3 fails=1",
        "pass: 12, 0 failed",
        "pass=12 (0 failed)",
        "pass=12 (0 failed, 3 skipped)",
        "pass: 12 failed: 2 of 14",
        "pass: 10 fail: 2 total 12",
        "pass: 450 failed: 402 skipped: 1",
        "pass=12 suite.failed=2 tests_failed=3",
        "pass=12 fail=0",
        "pass=12, skip=1 (2.1 s)",
        "pass: 12, failed: 0",
        "pass: 12 failed: 2 skipped: 1",
        r#"{"body":"{\"pass\":12,\"total\":14,\"skipped\":2}"}"#,
    ] {
        check(text);
    }
}

#[test]
fn addresses_are_hidden_near_words_of_versions() {
    for text in [
        "websocket upgrade from «203.0.113.7»",
        "websocket upgrade from «203.0.113.7» to «203.0.113.8»",
        "connection upgraded to «203.0.113.7»",
        "Upgrade: websocket from «203.0.113.7»",
        "upgraded «203.0.113.7»",
        "protocol version 3 from «203.0.113.7»",
        "version 1.18 from «203.0.113.7»",
        "version 1.18.0 from «203.0.113.7»",
        "unsupported version, peer=«203.0.113.7»",
        "unsupported version from «203.0.113.7»",
        "unsupported version, «203.0.113.7»",
        "sent version to «203.0.113.7»",
        "version mismatch: «203.0.113.7»",
        "Version Mismatch: «203.0.113.7»",
        "deployed release 1.2.3 to «203.0.113.8»",
        "pushed firmware 2.0.1 to «203.0.113.8»",
        "deploying build 4.5.6 to «203.0.113.8»",
        "lease release from «203.0.113.7» to «203.0.113.8»",
        "firmware 2.1.0 from «203.0.113.7» to «203.0.113.8»",
        "firmware updated to «203.0.113.8»",
        "client_version=1.2.3 from «203.0.113.7» to «203.0.113.8»",
        "client_version=1.2.3 - «203.0.113.7»",
        "version 1.18.0 from «203.0.113.7» to «203.0.113.8»",
        "sending version 1.2.3 to «203.0.113.8»",
        "server_version=5.7.31 to «203.0.113.8»",
        "build string «203.0.113.7»",
        "server build found «203.0.113.7»",
        "upgraded «203.0.113.7» to 2.0.1",
        "upgraded websocket «203.0.113.7» -> «203.0.113.8»",
        "versions: 1.2.3.4, peer «203.0.113.7»",
        "version: 1.2.3.4, «203.0.113.7»",
        "found Some(\"«203.0.113.7»\")",
        "client version ok («203.0.113.7»)",
        "server: «203.0.113.7» over: «203.0.113.8»",
        "server=«203.0.113.7» over «203.0.113.8»",
        "oid: «44.1.2.3»",
    ] {
        check(text);
    }
}

#[test]
fn versions_of_four_numbers_are_shown() {
    for text in [
        "version 1.2.3.4",
        "app_version=1.2.3.4 fw_ver: 1.2.3.4",
        r#"{"version":"1.2.3.4","body":"{\"version\":\"1.2.3.4\"}"}"#,
        "upgraded to 1.2.3.4",
        "upgraded from 1.2.3.4 to 1.2.3.5",
        "upgrading nginx from 123.123.123.123 to 123.123.123.124",
        "upgrade from v1.2.3 to 1.2.3.4 failed",
        "downgraded nginx to 1.2.3.4",
        "version 1.2.3.4 -> 1.2.3.5",
        "version changed from 1.2.3.4 to 1.2.3.5",
        "expected version 1.2.3.4, got 1.2.3.5",
        "version mismatch: expected 1.2.3.4, got 1.2.3.5",
        "new version is 1.2.3.4",
        "new version available: 1.2.3.4",
        "version >= 1.2.3.4",
        "versions `1.2.3.4` and `1.2.3.5`",
        "Config { version: Some(\"8.8.4.4\"), n: 1 }",
        "upgraded nginx 8.8.4.4 -> 8.8.4.5",
        "upgraded nginx from 8.8.4.4 to 9.1",
        "upgrading nginx (8.8.4.4 => 8.8.4.5)",
        "upgrade 8.8.4.4 to 8.8.4.5",
        "upgrade available: 8.8.4.4 -> 8.8.4.5",
        "upgrade available: 8.8.4.5",
        r#"{"versions":["8.8.4.4","8.8.4.5"]}"#,
        r#"{"body":"{\"versions\":[\"8.8.4.4\", \"8.8.4.5\", \"8.8.4.6\"]}"}"#,
        "supported versions: 8.8.4.4, 8.8.4.5",
        "versions 8.8.4.4, 8.8.4.5",
        "client version too old: 8.8.4.4",
        "minimum version required: 8.8.4.4",
        "appver=8.8.4.4 osVer=8.8.4.4 fwver: 8.8.4.4",
        "deployed release 8.8.4.4, firmware: 8.8.4.4",
    ] {
        check(text);
    }
}

#[test]
fn literals_in_sql_expressions_are_hidden() {
    let insert = |values: &str| {
        check(&format!(
            "INSERT INTO users (name, password) VALUES ({values})"
        ));
    };
    for value in [
        "crypt('«hunter2»', gen_salt('bf'))",
        "encode(digest(concat('«a)b»', \"«hunter2»\"), 'sha256'), 'hex')",
        "aes_encrypt('«hunter2»', '«ke''y»')",
        "X'«68756e74657232»'",
        "_utf8mb4'«hunter2»'",
        "U&'«hunter2»' UESCAPE '«!»'",
        "'«hunter»' || '«2»'",
        "CAST('«hunter2»' AS text)",
        "«0x68756e74657232»",
        "md5(«4821»)",
        "sha2(«482913», 256)",
        "«4821»::text",
        "-«4821»",
        " «4821» ",
        // Nothing is a secret here.
        "crypt($2, gen_salt('bf'))",
        "digest(?, 'sha256')",
        "NULL",
        "now()",
    ] {
        insert(&format!("'ada', {value}"));
        insert(&format!("lower('ada'), {value}"));
    }
    check(
        r#"{"sql":"INSERT INTO users (name, password) VALUES (\"ada\", md5(\"«hunter2»\"))","n":1}"#,
    );
}

#[test]
fn marked_words_of_names_are_hidden_whole() {
    for text in [
        "full_name=«Ada \"Lovelace»\"",
        "full_name=«Ada Maria [Lovelace»], n=1",
        "full_name: «Ada 'Lovelace»' n=1",
        "full_name=«Ada Lovelace», n=1",
    ] {
        check(text);
    }
}

#[test]
fn path_rules_show_absent_values() {
    let policy = Policy::secrets().hide("items[*].card").unwrap();
    for text in [
        r#"{"items":[{"card":null}]}"#,
        r#"{"items":[{"card":""},{"card":"***"}]}"#,
    ] {
        assert_eq!(policy.text(text), text);
    }
    for (text, expected) in [
        (
            r#"{"items":[{"card":false},{"card":0},{"card":" "}]}"#,
            r#"{"items":[{"card":"[REDACTED]"},{"card":"[REDACTED]"},{"card":"[REDACTED]"}]}"#,
        ),
        (
            r#"{"items":[{"card":{"no":null}},{"card":[]}]}"#,
            r#"{"items":[{"card":"[REDACTED]"},{"card":"[REDACTED]"}]}"#,
        ),
    ] {
        assert_eq!(policy.text(text), expected);
    }
}

#[test]
fn counts_have_one_row_per_name() {
    let policy = Policy::secrets()
        .hide_with("session", Action::KeepLast(2))
        .unwrap();
    // The first key has the user rule, and the second one the built-in rule.
    assert_eq!(
        policy.text("session=tulip9931 user_session=tulip9931"),
        "session=***31 user_session=***31"
    );
    assert_eq!(policy.counts(), [("key session".to_owned(), 2)]);
}
