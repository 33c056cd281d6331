//! Several files, profiles, sinks that are switched off, and texts that refer to variables.

use super::{Files, assert_line, explain, problems};

#[test]
fn includes_are_sorted_and_laid_over() {
    let files = Files::new(&[
        (
            "log.toml",
            "include = ['conf.d/*.toml']\npreset = 'prod'\n[service]\nname = 'base'\nversion = '1'\n",
        ),
        ("conf.d/20.toml", "[service]\nname = 'twenty'\n"),
        (
            "conf.d/10.toml",
            "[service]\nname = 'ten'\nversion = '10'\n",
        ),
        ("conf.d/.hidden.toml", "wrong ="),
        ("conf.d/other.txt", "wrong ="),
    ]);
    let text = files.explain("log.toml", &[]);
    assert_line(&text, "SERVICE_NAME = twenty (conf.d/20.toml:2)");
    assert_line(&text, "SERVICE_VERSION = 10 (conf.d/10.toml:3)");
}

#[test]
fn include_of_nothing_is_no_mistake_with_a_star() {
    let files = Files::new(&[
        ("star.toml", "include = ['none.d/*.toml']"),
        ("plain.toml", "include = ['none.toml', '*/a.toml']"),
    ]);
    assert_eq!(files.problems("star.toml"), [""; 0]);
    let warning =
        "warning: star.toml:1:12: include \"none.d/*.toml\" matches no file: add one, or remove it";
    assert_line(&files.explain("star.toml", &[]), warning);
    assert_eq!(
        files.problems("plain.toml"),
        [
            "plain.toml:1:12: include \"none.toml\" cannot be read: No such file or directory (os error 2)",
            "plain.toml:1:25: include \"*/a.toml\" has `*` or `?` in a directory: only the name of a file may have it",
        ]
    );
}

#[test]
fn cycles_and_deep_includes_are_mistakes() {
    let files = Files::new(&[
        ("a.toml", "include = ['b.toml']"),
        ("b.toml", "include = ['./a.toml']"),
        ("1.toml", "include = ['2.toml']"),
        ("2.toml", "include = ['3.toml']"),
        ("3.toml", "include = ['4.toml']"),
        ("4.toml", "include = ['5.toml']"),
        ("5.toml", ""),
    ]);
    assert_eq!(
        files.problems("a.toml"),
        [
            "b.toml:1:12: include \"./a.toml\" includes a file that includes it: remove one of the two"
        ]
    );
    assert_eq!(
        files.problems("1.toml"),
        ["4.toml:1:12: include \"5.toml\" is too deep: nest at most 3 includes"]
    );
    let text = format!("include = [{:?}]", files.path("3.toml"));
    assert_eq!(problems(&text, &[]), [""; 0]);
    let text = format!("include = [{:?}]", files.path("2.toml"));
    assert_eq!(problems(&text, &[]).len(), 1);
}

#[test]
fn profile_of_the_preset_is_laid_over_the_rest() {
    let file = "[sink.main]\nformat = 'json'\ncolor = 'never'\n\
                [profile.dev.sink.main]\nformat = 'pretty'\n[profile.prod.service]\nname = 'p'\n";
    let dev = explain(file, &[("LOG_PRESET", "dev")]);
    assert_line(&dev, "LOG_FORMAT = pretty (config:5, profile dev)");
    assert_line(&dev, "LOG_COLOR = never (config:3)");
    let prod = explain(file, &[("LOG_PRESET", "prod")]);
    assert_line(&prod, "LOG_FORMAT = json (config:2)");
    assert_line(&prod, "SERVICE_NAME = p (config:7, profile prod)");
}

#[test]
fn profile_cannot_choose_the_preset() {
    let found = problems(
        "[profile.dev]\npreset = 'prod'\ninclude = ['a']\n[profile.stage]\n[profile.development]\n",
        &[],
    );
    assert_eq!(
        found,
        [
            "config:2:1: profile.dev.preset is not a setting of a profile: write it at the top level",
            "config:3:1: profile.dev.include is not a setting of a profile: write it at the top level",
            "config:4:10: profile.stage is not a preset: there are dev, prod, test, cli",
            "config:5:10: profile.development is not a preset: did you mean dev?",
        ]
    );
}

#[test]
fn sink_that_is_off_is_as_if_absent() {
    let file = "preset = 'prod'\n[sink.main]\nkind = 'stdout'\n[sink.file]\nenabled = false\nformat = 'wrong'\npath = '${UNSET}'\n\
                [route.shop]\nsinks = ['file']\n";
    let text = explain(file, &[]);
    assert_line(&text, "LOG_FILE = none (not set)");
    // A variable makes it again.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.log");
    let text = explain(file, &[("LOG_FILE", path.to_str().unwrap())]);
    assert_line(&text, &format!("LOG_FILE = {} (LOG_FILE)", path.display()));
    let text = explain("[sink.file]\nenabled = '${ON:-no}'\npath = 'a.log'", &[]);
    assert_line(&text, "LOG_FILE = none (not set)");
}

#[test]
fn texts_refer_to_variables_and_files() {
    let files = Files::new(&[
        ("name", "from-file\n"),
        (
            "log.toml",
            "preset = '${PRESET:-prod}'\nstrict = '${STRICT:-0}'\ncontext = '${KEYS}'\nstatic_fields = 'price=$$5,cost=$5'\n\
             [service]\nname = 'a-${NAME}-${NAME}'\nversion = '${file:name}'\n[sample]\nrules = '${RULES:-}'\n",
        ),
    ]);
    let vars = [
        ("NAME", "$NAME"),
        ("KEYS", "order_id,job_id"),
        ("EMPTY", ""),
    ];
    let text = files.explain("log.toml", &vars);
    assert_line(&text, "LOG_PRESET = prod (log.toml:1)");
    assert_line(&text, "SERVICE_NAME = a-$NAME-$NAME (log.toml:6)");
    assert_line(&text, "SERVICE_VERSION = (hidden) (log.toml:7)");
    assert_line(&text, "LOG_STATIC_FIELDS = price=$5,cost=$5 (log.toml:4)");
    assert_line(&text, "LOG_SAMPLE = none (not set)");
    assert!(text.contains("order_id, job_id (log.toml:3)"), "{text}");
}

#[test]
fn reference_that_cannot_be_read_is_a_mistake() {
    let found = problems(
        "[service]\nname = '${NO_NAME}'\nversion = 'ü${file:/no/such}'\n[sample]\nrules = '${open'\n[redact]\nchange = '${a b}'\n\
         [recorder]\ncapture = '${'\n[profile.cli.service]\nname = '${NOT_READ}'\n",
        &[("LOG_PRESET", "prod")],
    );
    assert_eq!(
        found,
        [
            "config:2:8: ${NO_NAME} is not set, and has no default: set it, or write `${NO_NAME:-default}`",
            "config:3:11: ${file:/no/such} cannot be read: No such file or directory (os error 2)",
            "config:5:9: `${` has no `}`: write `${NAME}`, or `$$` for a dollar sign",
            "config:7:10: ${a b} is not a reference: write `${NAME}`, `${NAME:-default}`, `${file:/path}`, or `$$` for a dollar sign",
            "config:9:11: `${` has no `}`: write `${NAME}`, or `$$` for a dollar sign",
        ]
    );
}

#[test]
fn include_may_refer_to_variables() {
    let files = Files::new(&[
        (
            "list.toml",
            "include = ['${SHOP_STAGE:-base}.toml', '${SHOP_EXTRA:-}', '${SHOP_PARTS}/*.toml']\n",
        ),
        (
            "text.toml",
            "include = '${SHOP_LIST:-base.toml,parts/b.toml}'\n",
        ),
        ("base.toml", "levels = 'warn'\n"),
        ("parts/b.toml", "spans = 'debug'\n"),
        ("secret.toml", "include = ['${file:base.toml}']\n"),
        ("secrets.toml", "include = '${file:names}'\n"),
        ("names", ","),
    ]);
    let vars = [("LOG_PRESET", "prod"), ("SHOP_PARTS", "parts")];
    for name in ["list.toml", "text.toml"] {
        let text = files.explain(name, &vars);
        assert_line(&text, "RUST_LOG = warn (base.toml:1)");
        assert_line(&text, "LOG_SPANS = debug (parts/b.toml:1)");
    }
    let found = files.problems("list.toml");
    let problem = "list.toml:1:59: ${SHOP_PARTS} is not set, and has no default: set it, or write \
                   `${SHOP_PARTS:-default}`";
    assert_eq!(found, [problem]);
    let problem = "secret.toml:1:12: ${file:…} is not a path of an include: write the path";
    assert_eq!(files.problems("secret.toml"), [problem]);
    let problem = "secrets.toml:1:11: ${file:…} is not a path of an include: write the path";
    assert_eq!(files.problems("secrets.toml"), [problem]);
}

#[test]
fn variable_of_an_overridden_text_is_known() {
    let files = Files::new(&[
        (
            "log.toml",
            "include = ['${LOG_STAGE:-base}.toml']\nlevels = '${LOG_STAGE_LEVELS:-info}'\n",
        ),
        ("stage.toml", "include = ['common.toml']\nlevels = 'warn'\n"),
        ("common.toml", "spans = 'debug'\n"),
    ]);
    let vars = [("LOG_STAGE", "stage"), ("LOG_STAGE_LEVELS", "debug")];
    let text = files.explain("log.toml", &vars);
    assert_line(&text, "LOG_SPANS = debug (common.toml:1)");
    assert!(!text.contains("LOG_STAGE"), "{text}");
}

#[test]
fn include_works_beside_odd_directories() {
    let files = Files::new(&[
        ("what?/log.toml", "include = ['a.toml', 'b?.toml']\n"),
        ("what?/a.toml", "levels = 'warn'\n"),
        ("what?/b1.toml", "levls = 'warn'\n"),
        ("what?/b2.toml/x", ""),
    ]);
    let found = files.problems("what?/log.toml");
    assert_eq!(found.len(), 2, "{found:#?}");
    let problem = "what?/log.toml:1:22: include \"b2.toml\" cannot be read: ";
    assert!(found[0].starts_with(problem), "{found:#?}");
    assert!(
        found[1].starts_with("what?/b1.toml:1:1: levls"),
        "{found:#?}"
    );
}
