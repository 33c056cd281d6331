//! What the pages quote is what the tests run.

use std::{fs, path::Path};

use spanwise::{Builder, SETTINGS};

const PAGES: [(&str, &str); 2] = [
    ("migrate.md", include_str!("../../../docs/migrate.md")),
    ("recipes.md", include_str!("../../../docs/recipes.md")),
];

/// The blocks of code of a page, each with its language.
fn blocks(page: &str) -> impl Iterator<Item = (&str, &str)> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap())
}

/// Code without what a page may omit: indentation, and the visibility of `main`.
fn plain(code: &str) -> String {
    let lines = code.lines().map(str::trim);
    let lines: Vec<_> = lines
        .map(|line| line.trim_start_matches("pub(crate) "))
        .collect();
    lines.join("\n")
}

#[test]
fn quoted_code_is_part_of_a_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let programs = fs::read_dir(root.join("src/programs")).unwrap();
    let programs = programs.map(|file| file.unwrap().path());
    let console = root.join("console/src/main.rs");
    let programs: Vec<_> = programs
        .chain([console])
        .map(|path| plain(&fs::read_to_string(path).unwrap()))
        .collect();
    let mut count = 0;
    for (name, page) in PAGES {
        for (_, block) in blocks(page).filter(|(language, _)| *language == "rust") {
            let is_quoted = |program: &String| program.contains(plain(block).trim());
            assert!(
                programs.iter().any(is_quoted),
                "{name} quotes no program:\n{block}"
            );
            count += 1;
        }
    }
    assert!(count > 10, "{count} blocks");
}

#[test]
fn settings_in_other_files_are_right() {
    let mut count = 0;
    for (name, page) in PAGES {
        for (language, block) in blocks(page) {
            if language == "rust" || language == "json" {
                continue;
            }
            let set = settings(block);
            count += set.len();
            let explained = Builder::from_vars(set.clone())
                .unwrap_or_else(|error| panic!("{name}: {error}\n{block}"))
                .explain()
                .to_string();
            for (setting, value) in set {
                assert!(
                    explained.contains(&format!("{setting} = ")),
                    "{name}: {setting} = {value} counts for nothing:\n{explained}"
                );
            }
        }
    }
    assert!(count > 10, "{count} settings");
}

/// What a file sets of ours, as shells, systemd, Docker and Kubernetes write it.
fn settings(text: &str) -> Vec<(&'static str, String)> {
    let is_name = |char: char| char.is_alphanumeric() || char == '_';
    let mut set = Vec::new();
    for setting in SETTINGS {
        for (at, _) in text.match_indices(setting.name) {
            let before = text[..at].chars().next_back();
            let rest = &text[at + setting.name.len()..];
            if before.is_some_and(is_name) || !rest.starts_with(['=', ':', '\n']) {
                continue;
            }
            let rest = rest[1..].trim_start();
            let rest = rest.strip_prefix("value:").unwrap_or(rest);
            let value = rest.lines().next().unwrap_or_default();
            set.push((setting.name, value.trim().trim_matches('"').to_owned()));
        }
    }
    set
}
