//! The table of literals that announce a secret.

use super::{Token, TokenTail};
use crate::{Detector, byte_class::ByteClass};

/// All literals, in groups with the same requirement.
///
/// The [`PrefixFilter`](crate::prefix_filter::PrefixFilter) searches for the first three bytes of
/// each literal, and then compares a hash of the first four. If a literal begins like many words,
/// the scan of these words is slower. So the table has only the rarer end of such a literal, and
/// literals of three bytes are rare.
#[rustfmt::skip] // a row for each group
const GROUPS: &[(Detector, TokenTail, &[&str])] = &[
    (Detector::Pem, TokenTail::Pem, &["----BEGIN", "---- BEGIN"]),
    (Detector::Pem, TokenTail::Putty, &["e-Lines:"]),
    (Detector::Pem, TokenTail::Lines, &["b3BlbnNzaC1rZXktdjE"]),
    (Detector::Jwt, TokenTail::Jwt, &["eyJ"]),
    (Detector::Github, TokenTail::Run(ByteClass::ALNUM, 36), &["ghp_", "gho_", "ghu_", "ghr_"]),
    (Detector::Github, TokenTail::Run(ByteClass::BASE64URL_DOT, 36), &["ghs_"]),
    (Detector::Github, TokenTail::Run(ByteClass::WORD, 60), &["github_pat_"]),
    (Detector::Gitlab, TokenTail::Run(ByteClass::BASE64URL_DOT, 20), &[
        "glpat", "gldt", "glrt", "glcbt", "glptt", "glft", "glimt", "glagent", "glsoat", "glffct", "gloas",
        "glwt-", "GR1348941",
    ]),
    (Detector::AwsKeyId, TokenTail::AwsKey(16), &["AKIA", "ASIA", "ABIA", "ACCA"]),
    (Detector::AwsKeyId, TokenTail::AwsKey(17), &["A3T"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64_PADDED, 100), &["ABSK", "IQoJb3JpZ2lu", "FwoGZXIvYXdzE"]),
    (Detector::Stripe, TokenTail::Run(ByteClass::ALNUM, 10), &[
        "sk_test_", "sk_live_", "sk_prod_", "rk_test_", "rk_live_", "rk_prod_",
    ]),
    (Detector::Stripe, TokenTail::Run(ByteClass::BASE64_PADDED, 24), &["whsec_"]),
    (Detector::Slack, TokenTail::Slack, &["xox"]),
    (Detector::Slack, TokenTail::Run(ByteClass::ALNUM_DASH, 8), &["xapp-"]),
    (Detector::SlackWebhook, TokenTail::Run(ByteClass::PATH, 40), &[
        "hooks.slack.com/services/", "hooks.slack.com/workflows/", "hooks.slack.com/triggers/",
    ]),
    (Detector::Google, TokenTail::Run(ByteClass::BASE64URL, 35), &["AIza"]),
    (Detector::Google, TokenTail::Run(ByteClass::BASE64URL, 20), &["ya29.", "1//0"]),
    (Detector::Google, TokenTail::Mixed(ByteClass::BASE64URL, 12), &["1//0"]),
    (Detector::Google, TokenTail::Run(ByteClass::BASE64URL, 28), &["GOCSPX-"]),
    (Detector::Google, TokenTail::Run(ByteClass::BASE64URL, 100), &[":APA91b"]),
    (Detector::LlmKeys, TokenTail::Run(ByteClass::BASE64URL, 82), &["sk-ant-"]),
    (Detector::LlmKeys, TokenTail::Mixed(ByteClass::BASE64URL, 12), &["sk-ant-", "sk-proj-"]),
    (Detector::LlmKeys, TokenTail::Run(ByteClass::BASE64URL, 40), &["sk-proj-", "sk-svcacct-", "sk-admin-"]),
    (Detector::LlmKeys, TokenTail::Run(ByteClass::LOWER_HEX, 64), &["sk-or-v1-"]),
    (Detector::LlmKeys, TokenTail::Mixed(ByteClass::ALNUM, 32), &["sk-"]),
    (Detector::LlmKeys, TokenTail::Run(ByteClass::ALNUM, 48), &["gsk_"]),
    (Detector::LlmKeys, TokenTail::Run(ByteClass::ALNUM, 70), &["xai-"]),
    (Detector::LlmKeys, TokenTail::Run(ByteClass::ALNUM, 40), &["pplx-"]),
    (Detector::LlmKeys, TokenTail::Run(ByteClass::ALNUM, 37), &["r8_"]),
    (Detector::LlmKeys, TokenTail::Run(ByteClass::WORD, 40), &["lsv2_pt_", "lsv2_sk_", "pcsk_"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::ALNUM, 36), &["npm_", "nfp_", "pnu_"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64URL, 50), &[
        "pypi-AgEIcHlwaS5vcmc", "pypi-AgENdGVzdC5weXBpLm9yZw",
    ]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::ALPHA, 30), &["hf_"]),
    (Detector::MiscPrefixed, TokenTail::Mixed(ByteClass::ALNUM, 30), &["hf_"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::LOWER_HEX, 64), &[
        "dop_v1_", "doo_v1_", "dor_v1_", "lin_oauth_",
    ]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64URL_DOT_PADDED, 66), &["SG."]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::HEX, 32), &["shpat_", "shpca_", "shppa_", "shpss_", "shpua_"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::LOWER_HEX, 32), &["dapi"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64URL, 90), &["hvb.", "hvr."]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64URL, 24), &["hvs."]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64_ANY, 32), &["glsa_", "glc_"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64_PADDED, 60), &["eyJrIjoi", "fm1r_", "fm2_"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64_ANY_PADDED, 40), &["sntrys_", "sntryu_"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::UPPER_ALNUM, 58), &["AGE-SECRET-KEY-1"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64, 250), &["ops_eyJ"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::ALNUM, 40), &[
        "lin_api_", "dp.pt.", "dp.ct.", "dp.sa.", "dp.scim.", "dp.audit.", "phx_",
    ]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::LOWER_HEX, 40), &[
        "pul-", "sbp_", "sqp_", "sqa_", "squ_", "bkua_",
    ]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::LOWER_HEX, 48), &["rubygems_"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64URL, 22), &[
        "sq0atp-", "sq0csp-", "tskey-", "sb_secret_",
    ]),
    (Detector::MiscPrefixed, TokenTail::Mixed(ByteClass::BASE64URL, 56), &["EAAA"]),
    (Detector::MiscPrefixed, TokenTail::Mixed(ByteClass::ALNUM, 60), &["EAA"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64URL, 27), &["dckr_pat_", "dckr_oat_"]),
    (Detector::MiscPrefixed, TokenTail::Exact(ByteClass::LOWER_HEX, 32), &["key-"]),
    (Detector::MiscPrefixed, TokenTail::Between((ByteClass::ALNUM, 3), (ByteClass::BASE64URL_DOT_PADDED, 50)), &["TT3xFfG"]),
    (Detector::MiscPrefixed, TokenTail::Mixed(ByteClass::ALNUM, 32), &["ATBB", "AKID"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64URL_DOT, 40), &["dp.st.", "sk.eyJ"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64URL, 38), &["figd_"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::UPPER_ALNUM, 27), &["NRAK-"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::LOWER_HEX, 19), &["NRJS-"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64URL, 32), &["NRII-"]),
    (Detector::MiscPrefixed, TokenTail::Between((ByteClass::LOWER_HEX, 32), (ByteClass::ALNUM, 0)), &["FFFFNRAL"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::ALNUM, 43), &["ntn_"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::LOWER_ALNUM, 43), &["oy2"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::HEX_DASH, 58), &["PMAK-"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64URL_DOT_PADDED, 32), &["pscale_tkn_", "pscale_pw_", "pscale_oauth_"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::ALNUM_DASH, 64), &["xkeysib-", "xsmtpsib-"]),
    (Detector::MiscPrefixed, TokenTail::Between((ByteClass::ALNUM, 14), (ByteClass::BASE64URL_DOT_PADDED, 60)), &[".atlasv1."]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64URL, 35), &["AQVN"]),
    (Detector::MiscPrefixed, TokenTail::Mixed(ByteClass::BASE64URL, 50), &["y0_"]),
    (Detector::MiscPrefixed, TokenTail::Mixed(ByteClass::BASE64URL_DOT_PADDED, 60), &["t1.9"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::HEX_DASH, 120), &["v1.0-"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::UPPER_ALNUM_DOT, 80), &["dt0c01."]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::ALNUM, 54), &["EZAK", "EZTK"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64URL, 30), &["FLWSECK"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::ALNUM, 32), &["ico-", "p8e-"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::ALNUM, 60), &["AKCp", "rdme_"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::ALNUM, 50), &["cmVmdGtuO", "hcaik_", "hcxik_"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64URL_DOT, 50), &["tfp_"]),
    (Detector::MiscPrefixed, TokenTail::Mixed(ByteClass::ALNUM, 16), &["LTAI"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::WORD, 40), &["CCIPAT_", "sgp_"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64URL, 40), &["CFPAT-"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::BASE64URL, 43), &["fo1_"]),
    (Detector::MiscPrefixed, TokenTail::Uuid, &["sdk-", "s-sandbox-", "s-development-", "s-production-", "waka_"]),
    (Detector::MiscPrefixed, TokenTail::Mixed(ByteClass::BASE64URL_DOT, 120), &["sl.B", "sl.u."]),
    (Detector::MiscPrefixed, TokenTail::Mixed(ByteClass::BASE64URL, 36), &["HRKU-"]),
    (Detector::MiscPrefixed, TokenTail::Between((ByteClass::BASE64URL_DOT, 3), (ByteClass::TOKEN68, 31)), &["7Q~", "8Q~"]),
    (Detector::MiscPrefixed, TokenTail::Run(ByteClass::ALNUM_PERCENT, 60), &["AAAAAAAAAAAAAAAAAAAAA"]),
    (Detector::MiscPrefixed, TokenTail::Mixed(ByteClass::CRYPT, 50), &["$2a$", "$2b$", "$2y$"]),
    (Detector::MiscPrefixed, TokenTail::Mixed(ByteClass::CRYPT, 40), &["$argon2"]),
    (Detector::MiscPrefixed, TokenTail::Mixed(ByteClass::CRYPT, 20), &["$apr1$"]),
    (Detector::MiscPrefixed, TokenTail::Mixed(ByteClass::CRYPT, 60), &["$6$"]),
    (Detector::Webhook, TokenTail::Telegram, &[":AA"]),
    (Detector::Webhook, TokenTail::Path(1, 30), &["d.com/api/webhooks/", "pp.com/api/webhooks/"]),
    (Detector::Webhook, TokenTail::Path(0, 8), &["pier.com/hooks/catch/"]),
    (Detector::Webhook, TokenTail::Path(2, 10), &[".ifttt.com/trigger/"]),
    (Detector::Webhook, TokenTail::Path(0, 10), &[".ifttt.com/use/"]),
    (Detector::Webhook, TokenTail::Path(0, 36), &[
        "k.office.com/webhook/", "k.office.com/webhookb2/", "k.office365.com/webhook/",
    ]),
    (Detector::Webhook, TokenTail::Path(0, 20), &[
        "k.eu1.make.com/", "k.eu2.make.com/", "k.us1.make.com/", "k.us2.make.com/", "hc-ping.com/",
        "duty.com/integration/", "r.link/p/", ".g.alchemy.com/v2/", "rmost.com/hooks/",
    ]),
    (Detector::Webhook, TokenTail::Path(0, 16), &[
        "feishu.cn/open-apis/bot/v2/hook/", "ksuite.com/open-apis/bot/v2/hook/", "obot.com/",
    ]),
    (Detector::Webhook, TokenTail::Path(0, 32), &["a.io/v3/"]),
    (Detector::Bearer, TokenTail::Bearer, &["bearer", "token"]),
    (Detector::Basic, TokenTail::Basic, &["basic"]),
    (Detector::UrlUserinfo, TokenTail::Url, &["://"]),
    (Detector::UrlUserinfo, TokenTail::GoDsn, &["@tcp(", "@unix("]),
    (Detector::UrlUserinfo, TokenTail::Oracle, &["acle:"]),
    (Detector::ConnectionPassword, TokenTail::PgPass, &[":5432:", ":5433:", ":6432:", ":*:"]),
    (Detector::ConnectionPassword, TokenTail::IdentifiedBy, &["tified by"]),
    (Detector::ConnectionPassword, TokenTail::IdentifiedWith, &["tified with"]),
    (Detector::ConnectionPassword, TokenTail::Password, &["ssword"]),
    // The literals from here on only announce other searches, so their detector is not used.
    (Detector::CommandLine, TokenTail::ProseKey, &[
        "ssword", "secret", "token", "api key", "_key", "-key", "_pass", "_pwd", "otp ", " pin is", "\"pin is",
        "'pin is", "\npin is", "code ",
    ]),
    (Detector::CommandLine, TokenTail::SqlInsert, &["ert into"]),
    (Detector::CommandLine, TokenTail::CommandLine, &[
        " --", "\"--", "'--", "mysql", "iadb", "sshpass", "odman log", "cker log", "elm reg", "skopeo", "ngosh",
        "ngodump", "ngorest", "ngoexp", "ngoimp", "ngo -", "7z a", "7z x", "7z e", "7z t", "zip -", "etx ",
        "aws conf", "curl", "is-cli", "sqlcmd", "ldap", "smbclient", "nssl ", "ipmitool", "cqlsh", "htpasswd",
        "sqlplus", "mqctl ", "ytool ", "az log", "fig set", "lftp ", "rsigner", "ult log", "ttp -a", "mc alias",
    ]),
];

/// Returns all literals.
pub(crate) fn tokens() -> impl Iterator<Item = Token> {
    GROUPS.iter().flat_map(|&(detector, tail, literals)| {
        literals.iter().map(move |&literal| Token {
            detector,
            literal,
            tail,
        })
    })
}
