//! The names that are hidden, or trusted, unless somebody says otherwise.

/// Keys of secrets.
pub(crate) const SECRETS: &[&str] = &[
    "auth",
    "sid",
    "otp",
    "pin",
    "cvv",
    "cvc",
    "cvv2",
    "ssn",
    "sso",
    "jwt",
    "csrf",
    "xsrf",
    "salt",
    "pwd",
    "session",
    "cookie",
    "setcookie",
    "token",
    "phpsessionid",
    "phpsessid",
    "connectsid",
    "mysqlpwd",
    "dsn",
    "*passw*",
    "*passphrase*",
    "*secret*",
    "*apikey*",
    "*privatekey*",
    "*accesskey*",
    "*signingkey*",
    "*encryptionkey*",
    "*credential*",
    "*authorization*",
    "*accesstoken*",
    "*refreshtoken*",
    "*idtoken*",
    "*bearertoken*",
    "*authtoken*",
    "*sessionid*",
    "*sessiontoken*",
    "*csrftoken*",
    "*xsrftoken*",
    "*creditcard*",
    "*cardnumber*",
    "*socialsecurity*",
    "*clientassertion*",
    "*mnemonic*",
    "*connectionstring*",
    "*token",
    "*pwd",
    "*cvv",
    "*jwt",
];

/// Keys of what tells of a person.
pub(crate) const PII: &[&str] = &[
    "email",
    "phone",
    "ip",
    "clientip",
    "remoteaddr",
    "xforwardedfor",
    "xrealip",
    "forwarded",
    "dob",
    "birthdate",
    "firstname",
    "lastname",
    "fullname",
    "address",
    "postcode",
    "zip",
    "passport",
    "iban",
];

/// Keys of no secret; the whole names before the ends of names.
pub(crate) const NEVER: &[&str] = &[
    "author",
    "authors",
    "authority",
    "authenticated",
    "auth_method",
    "auth_type",
    "oauth_provider",
    "token_type",
    "token_count",
    "public_key",
    "key_id",
    "keyboard",
    "monkey",
    "session_count",
    "request_id",
    "trace_id",
    "span_id",
    "partition_key",
    "sort_key",
    "cache_key",
    "cookie_count",
    "secret_name",
    "secret_version",
    "secret_arn",
    "secret_count",
    "secret_ref",
    "secret_key_ref",
    "secret_type",
    "secretary",
    "secretaries",
    "secretariat",
    "*tokens",
];

/// Parameters of a URL that are credentials there, and words elsewhere.
pub(crate) const QUERY: &[&str] = &[
    "key",
    "code",
    "sig",
    "signature",
    "awsaccesskeyid",
    "xamzcredential",
    "xamzsignature",
    "xamzsecuritytoken",
    "xgoogsignature",
    "auth",
    "session",
    "sessionid",
    "jwt",
    "sas",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Pattern;

    #[test]
    fn every_name_is_a_rule() {
        for name in [SECRETS, PII, NEVER].concat() {
            assert!(name.parse::<Pattern>().is_ok(), "{name}");
        }
    }

    #[test]
    fn parameters_are_written_as_they_are_compared() {
        for name in QUERY {
            assert_eq!(name.parse(), Ok(Pattern::Exact((*name).to_owned())));
        }
    }
}
