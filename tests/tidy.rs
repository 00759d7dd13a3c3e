//! The house rules as a test: reads the sources and documents as text and fails with one list of everything out of order.
//!
//! Every rule is a pure function on text with a self-test that a bad sample is caught. The rules: docs/ARCHITECTURE.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Most lines of a file, tests not counted.
const MOST_LINES: usize = 600;
/// The files that may hold `unsafe`: vector kernels, each with a portable twin.
const UNSAFE_FILES: [&str; 4] = [
    "protocols/primitives/src/gf128/clmul.rs",
    "protocols/correlation/src/vole/code/avx2.rs",
    "protocols/rlwe/src/ntt/avx2.rs",
    "protocols/rlwe/src/kernels.rs",
];
/// Where randomness enters: the generator of secrets, and the identity key (the link's crate lies below the generator's).
const RANDOMNESS_FILES: [&str; 2] = ["protocols/primitives/src/rng.rs", "protocols/channel/src/tls/key.rs"];
/// The seeded stream of recorded conversations: this feature of colift-primitives, and the files that may name it.
const REPLAY: &str = "insecure_replay";
const REPLAY_FILES: [&str; 2] = ["protocols/primitives/src/rng.rs", "protocols/primitives/src/rng/insecure_replay.rs"];
/// The files that disclose, and the message kinds that only they may use. Shares are opened in the first one only.
const DISCLOSING_FILES: [&str; 3] = ["src/training/opening.rs", "src/run/split.rs", "src/run/scores.rs"];
const DISCLOSING_KINDS: std::ops::Range<u16> = 0x0580..0x0590;

/// Which crates of ours a crate under protocols/ may depend on. The test kit is everybody's dev-dependency.
const CRATES: [(&str, &[&str]); 7] = [
    ("channel", &[]),
    ("primitives", &["channel"]),
    ("correlation", &["channel", "primitives"]),
    ("rlwe", &["channel", "primitives"]),
    ("psi", &["channel", "primitives", "correlation"]),
    ("algebra", &["channel", "primitives", "correlation", "rlwe"]),
    ("testkit", &["channel", "primitives"]),
];

/// Which rooms of src/ a room may import. A room that is not here is a finding: place it.
const ROOMS: [(&str, &[&str]); 23] = [
    ("error", &[]),
    ("data", &["error"]),
    ("evaluation", &["error"]),
    ("contract", &["data", "error"]),
    ("session", &["contract", "data", "error", "progress"]),
    ("align", &["data", "error"]),
    ("training", &["contract", "error", "evaluation"]),
    ("report", &["data", "error", "evaluation", "training"]),
    ("recipe", &["data", "error", "training"]),
    ("model", &["contract", "data", "error", "recipe", "report", "training"]),
    ("progress", &["data", "error"]),
    ("resources", &["data", "error", "report"]),
    ("results", &["data", "error"]),
    ("run", &["align", "contract", "data", "error", "evaluation", "model", "progress", "recipe", "report", "resources", "training"]),
    ("scoring", &["align", "contract", "data", "error", "model", "progress", "recipe", "report", "resources", "run", "training"]),
    ("recovery", &["data", "error", "progress", "results", "run", "session"]),
    ("plan", &["contract", "data", "error", "report", "run", "training"]),
    ("verify", &["data", "error", "model"]),
    ("prep", &["data", "error", "evaluation", "resources"]),
    ("rehearse", &["*"]),
    ("demo", &["*"]),
    ("bench", &["*"]),
    ("cli", &["*"]),
];

/// Rooms that may touch sockets; the others see a `Channel` at most.
const SOCKET_ROOMS: [&str; 2] = ["session", "rehearse"];

/// What library code must not call.
const FORBIDDEN_CALLS: [&str; 5] = ["println!", "print!", "dbg!", "todo!", "unimplemented!"];

struct File {
    /// Relative to the workspace, with `/`.
    path: String,
    text: String,
}

// ---- Reading text -------------------------------------------------------------------------------------------------------

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The text with comments and the insides of literals blanked; line ends stay.
fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let start = i;
        if at(i) == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if at(i) == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if let Some(end) = raw_literal(&chars, i) {
            i = end;
        } else if at(i) == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if at(i) == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            while i < chars.len() && at(i) != '\'' {
                i += 1;
            }
            i += 1;
        } else {
            out.push(at(i));
            i += 1;
            continue;
        }
        out.extend(chars[start..i.min(chars.len())].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
    }
    out
}

/// The end of a raw string literal that begins here.
fn raw_literal(chars: &[char], start: usize) -> Option<usize> {
    let before = start.checked_sub(1).and_then(|i| chars.get(i));
    if before.is_some_and(|c| is_word(*c)) || chars.get(start) != Some(&'r') && chars.get(start..start + 2) != Some(&['b', 'r']) {
        return None;
    }
    let mut i = start + if chars[start] == 'b' { 2 } else { 1 };
    let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
    i += hashes;
    if chars.get(i) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let inside = chars[i + 1..].windows(close.len()).position(|window| window == close)?;
    Some(i + 1 + inside + close.len())
}

/// The text without inline test modules (`#[cfg(test)]`, perhaps more attributes, `mod … {` at the margin, up to its `}`).
fn without_tests(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut kept = Vec::new();
    let mut i = 0;
    while i < lines.len() {
        if lines[i] == "#[cfg(test)]" {
            let attributes = lines[i..].iter().take_while(|line| line.starts_with("#[")).count();
            let module = lines.get(i + attributes).copied().unwrap_or_default();
            if module.contains("mod ") && module.ends_with('{') {
                let body = lines[i..].iter().position(|line| *line == "}").unwrap_or(lines.len() - i);
                i += body + 1;
                continue;
            }
        }
        kept.push(lines[i]);
        i += 1;
    }
    kept.join("\n")
}

/// Whether a file holds nothing but tests.
fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Whether `word` stands alone somewhere in the code.
fn has_word(code: &str, word: &str) -> bool {
    let before = |at: usize| code[..at].chars().next_back().is_none_or(|c| !is_word(c));
    let after = |at: usize| code[at + word.len()..].chars().next().is_none_or(|c| !is_word(c));
    code.match_indices(word).any(|(at, _)| before(at) && (word.ends_with('!') || after(at)))
}

// ---- The rules ----------------------------------------------------------------------------------------------------------

fn header(file: &File) -> Option<String> {
    let first = file.text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default();
    let said = first.strip_prefix("//!").is_some_and(|rest| rest.trim().len() > 10);
    (!said).then(|| format!("{}: the first line must be a `//!` header that says the file's one job", file.path))
}

fn size(file: &File) -> Option<String> {
    let lines = without_tests(&file.text).lines().count();
    (!is_test_file(&file.path) && lines > MOST_LINES)
        .then(|| format!("{}: {lines} lines without tests, at most {MOST_LINES}: split it by step", file.path))
}

fn no_mod_rs(path: &str) -> Option<String> {
    (path == "mod.rs" || path.ends_with("/mod.rs")).then(|| format!("{path}: use `x.rs` beside `x/`, never `mod.rs`"))
}

fn no_unsafe(file: &File) -> Option<String> {
    let code = code_only(&file.text);
    let found = has_word(&code, "unsafe") || code.contains("allow(unsafe_code");
    (found && !UNSAFE_FILES.contains(&file.path.as_str())).then(|| format!("{}: unsafe code lives in {UNSAFE_FILES:?} only", file.path))
}

/// Library code: not tests, not the programs and their command line, not the test kit.
fn is_library(path: &str) -> bool {
    let program = path.starts_with("src/bin/") || path == "src/cli.rs" || path.starts_with("src/cli/");
    let inside = path.starts_with("src/") || (path.starts_with("protocols/") && path.contains("/src/"));
    inside && !program && !is_test_file(path) && !path.starts_with("protocols/testkit/")
}

fn forbidden_calls(file: &File) -> Vec<String> {
    if !is_library(&file.path) {
        return Vec::new();
    }
    let code = code_only(&without_tests(&file.text));
    let found = FORBIDDEN_CALLS.iter().filter(|call| has_word(&code, call));
    found.map(|call| format!("{}: {call} in library code", file.path)).collect()
}

fn randomness(file: &File) -> Option<String> {
    if !is_library(&file.path) || RANDOMNESS_FILES.contains(&file.path.as_str()) {
        return None;
    }
    let code = code_only(&without_tests(&file.text));
    let found = ["getrandom", "OsRng", "SysRng", "SystemRandom"].into_iter().find(|name| has_word(&code, name))?;
    Some(format!("{}: {found}; randomness for secrets comes through colift_primitives::rng", file.path))
}

/// Library code and programs never name the seeded stream, whether or not a test's build has it.
fn replay_in_code(file: &File) -> Option<String> {
    let inside = file.path.starts_with("src/") || (file.path.starts_with("protocols/") && file.path.contains("/src/"));
    if !inside || is_test_file(&file.path) || REPLAY_FILES.contains(&file.path.as_str()) {
        return None;
    }
    has_word(&code_only(&without_tests(&file.text)), REPLAY).then(|| format!("{}: {REPLAY} is for tests", file.path))
}

/// Where a manifest names the seeded stream: as the feature itself, which enables nothing, or as the root's feature of one test, which
/// nothing enables by itself.
fn replay_in_manifest(file: &File) -> Vec<String> {
    let mut table = String::new();
    let mut findings = Vec::new();
    for line in file.text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']').to_owned();
        }
        let defines = file.path == "protocols/primitives/Cargo.toml" && table == "features" && line == "insecure_replay = []";
        let asked = file.path == "Cargo.toml" && table == "features" && line == "replay = [\"colift-primitives/insecure_replay\"]";
        let needed = table == "[test" && line == "required-features = [\"replay\"]";
        if (line.contains(REPLAY) || line.contains("\"replay\"")) && !defines && !asked && !needed {
            findings.push(format!("{}: [{table}] enables {REPLAY}, which only the feature replay may", file.path));
        }
    }
    findings
}

/// Crates of ours that a manifest names under the tables whose name `wanted` accepts.
fn dependencies(manifest: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut table = String::new();
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']').to_owned();
            // `[dependencies.colift-x]`
            if let Some((head, name)) = table.split_once('.').filter(|(head, name)| wanted(head) && name.starts_with("colift")) {
                found.push(name.to_owned());
                table = head.to_owned() + ".";
            }
        } else if wanted(&table) && line.starts_with("colift") {
            found.push(line.split(['.', '=', ' ']).next().unwrap_or_default().to_owned());
        }
    }
    found
}

fn crate_layers(name: &str, manifest: &str) -> Vec<String> {
    let Some((_, allowed)) = CRATES.iter().find(|(known, _)| *known == name) else {
        return vec![format!("protocols/{name}: a crate without a layer: place it in tests/tidy.rs and docs/ARCHITECTURE.md")];
    };
    let names = |extra: Option<&'static str>| allowed.iter().copied().chain(extra).map(|n| format!("colift-{n}")).collect::<Vec<_>>();
    let mut findings = Vec::new();
    for (table, may) in [("dependencies", names(None)), ("build-dependencies", names(None)), ("dev-dependencies", names(Some("testkit")))] {
        let upward = dependencies(manifest, |name| name == table).into_iter().filter(|dependency| !may.contains(dependency));
        findings.extend(upward.map(|dependency| format!("protocols/{name}/Cargo.toml: [{table}] {dependency} breaks the layers")));
    }
    findings
}

fn root_layers(manifest: &str) -> Option<String> {
    let shipped = dependencies(manifest, |table| table == "dependencies" || table == "build-dependencies");
    shipped.contains(&"colift-testkit".to_owned()).then(|| "Cargo.toml: colift-testkit is a dev-dependency only".to_owned())
}

/// The room of a file of src/, None for the crate's root and the programs.
fn room(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let first = inside.split('/').next()?.trim_end_matches(".rs");
    (!matches!(first, "lib" | "bin" | "main")).then_some(first)
}

/// The rooms that code imports, by `crate::x`, `crate::{x, y::z}` or as many `super::` as lead to the root.
fn imports(path: &str, code: &str) -> Vec<String> {
    let depth = path.matches('/').count();
    let mut found = Vec::new();
    for root in ["crate::".to_owned(), "super::".repeat(depth.max(1))] {
        for (at, _) in code.match_indices(&root).filter(|(at, _)| code[..*at].chars().next_back().is_none_or(|c| !is_word(c) && c != ':')) {
            let rest = &code[at + root.len()..];
            let names = match rest.strip_prefix('{') {
                None => vec![rest],
                Some(list) => top_level_items(list),
            };
            found.extend(names.iter().map(|name| name.trim().chars().take_while(|c| is_word(*c)).collect::<String>()));
        }
    }
    found.retain(|name| ROOMS.iter().any(|(room, _)| room == name));
    found.sort_unstable();
    found.dedup();
    found
}

/// The items of an import list up to its closing brace, inner lists not cut.
fn top_level_items(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&list[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

fn room_layers(file: &File) -> Vec<String> {
    let Some(room) = room(&file.path).filter(|_| !is_test_file(&file.path)) else { return Vec::new() };
    let Some((_, allowed)) = ROOMS.iter().find(|(known, _)| *known == room) else {
        return vec![format!("{}: room `{room}` has no layer: place it in tests/tidy.rs and docs/ARCHITECTURE.md", file.path)];
    };
    let code = code_only(&without_tests(&file.text));
    let may = |name: &str| name == room || allowed.contains(&"*") || allowed.contains(&name);
    let wrong = imports(&file.path, &code).into_iter().filter(|name| !may(name));
    let mut findings: Vec<String> = wrong.map(|name| format!("{}: `{room}` must not import `{name}`", file.path)).collect();
    if code.contains("std::net") && !SOCKET_ROOMS.contains(&room) {
        findings.push(format!("{}: `{room}` must not touch sockets", file.path));
    }
    findings
}

/// The message kinds a file defines: code and file.
fn kinds(file: &File) -> Vec<(u16, String)> {
    let code = code_only(&without_tests(&file.text));
    let number = |text: &str| {
        let hex = text.trim().strip_prefix("0x").map(|digits| u16::from_str_radix(&digits.replace('_', ""), 16));
        hex.unwrap_or_else(|| text.trim().parse()).ok()
    };
    let opens = code.match_indices("Kind {").filter(|(at, _)| code[..*at].chars().next_back().is_none_or(|c| !is_word(c)));
    let literals = opens.filter_map(|(at, found)| {
        let fields = code[at + found.len()..].trim_start().strip_prefix("code:")?;
        number(fields.split([',', '}']).next()?)
    });
    // The link's own control frames are plain constants.
    let control = code.lines().filter(|line| file.path.ends_with("tls/frames.rs") && line.contains(": u16 ="));
    let control = control.filter_map(|line| number(line.split('=').nth(1)?.trim_end_matches(';')));
    literals.chain(control).map(|code| (code, file.path.clone())).collect()
}

fn kind_rules(kinds: &[(u16, String)], wire_document: &str) -> Vec<String> {
    let mut by_code: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for (code, path) in kinds {
        by_code.entry(*code).or_default().push(path);
    }
    let mut findings = Vec::new();
    for (code, paths) in by_code {
        if paths.len() > 1 {
            findings.push(format!("message kind {code:#06x} is defined {} times: {}", paths.len(), paths.join(", ")));
        }
        if DISCLOSING_KINDS.contains(&code) != paths.iter().all(|path| DISCLOSING_FILES.contains(path)) {
            findings.push(format!(
                "message kind {code:#06x} of {}: disclosures have kinds of their own, in {DISCLOSING_FILES:?}",
                paths.join(", ")
            ));
        }
        if !wire_document.contains(&format!("{code:#06x}")) {
            findings.push(format!("message kind {code:#06x} of {} is missing in docs/WIRE.md", paths.join(", ")));
        }
    }
    findings
}

/// Functions of a disclosing file that send without noting it in the ledger first.
fn unlisted_disclosures(file: &File) -> Vec<String> {
    if !DISCLOSING_FILES.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let code = code_only(&without_tests(&file.text));
    let functions = code.split("fn ").skip(1);
    let silent =
        functions.filter(|body| body.find(".send(").is_some_and(|sent| body.find("ledger.note(").is_none_or(|noted| noted > sent)));
    silent.map(|body| format!("{}: `{}` sends before the ledger's note", file.path, body.split('(').next().unwrap_or_default())).collect()
}

fn machine_paths(file: &File) -> Vec<String> {
    // Spelt in two parts, so that this file does not find itself.
    let folders = ["work", "home", "tmp", "root", "Users"].map(|name| format!("/{name}/"));
    let absolute = |line: &str, folder: &str| {
        line.match_indices(folder)
            .any(|(at, _)| line[..at].chars().next_back().is_none_or(|c| !is_word(c) && !matches!(c, '.' | '-' | '}' | '~')))
    };
    let lines = file.text.lines().enumerate();
    let wrong = lines.filter(|(_, line)| folders.iter().any(|folder| absolute(line, folder)));
    wrong.map(|(number, _)| format!("{}:{}: an absolute path of one machine", file.path, number + 1)).collect()
}

fn adr_numbers(names: &[&str]) -> Vec<String> {
    let mut numbers = Vec::new();
    let mut findings = Vec::new();
    for name in names {
        let shaped = name.ends_with(".md") && name.len() > 8 && name.as_bytes().get(4) == Some(&b'-');
        match name.get(..4).and_then(|digits| digits.parse::<usize>().ok()).filter(|_| shaped) {
            Some(number) => numbers.push(number),
            None => findings.push(format!("docs/adr/{name}: the name must be NNNN-words.md")),
        }
    }
    numbers.sort_unstable();
    if let Some((expected, got)) = (1..).zip(numbers).find(|(expected, got)| expected != got) {
        findings.push(format!("docs/adr: number {got:04} stands where {expected:04} is next"));
    }
    findings
}

/// Relative links of a document that lead nowhere.
fn dead_links(file: &File, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let targets = file.text.match_indices("](").filter_map(|(at, _)| file.text[at + 2..].split([')', ' ', '\n']).next());
    let files = targets.map(|target| target.split('#').next().unwrap_or_default()).filter(|t| !t.is_empty() && !t.contains(':'));
    files
        .filter(|target| !exists(&joined(folder, target)))
        .map(|target| format!("{}: the link to {target} leads nowhere", file.path))
        .collect()
}

fn joined(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

// ---- The house ----------------------------------------------------------------------------------------------------------

/// All text files of the workspace; what .gitignore names at the root, and hidden folders besides .ci, are left out.
fn collect(root: &Path, folder: &str, ignored: &[String], files: &mut Vec<File>) {
    for entry in fs::read_dir(root.join(folder)).expect(folder) {
        let name = entry.unwrap().file_name().into_string().expect("file names are UTF-8");
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if ignored.contains(&path) || (name.starts_with('.') && name != ".ci" && name != ".gitignore") {
            continue;
        }
        if root.join(&path).is_dir() {
            collect(root, &path, ignored, files);
        } else if let Ok(text) = String::from_utf8(fs::read(root.join(&path)).expect(&path)) {
            files.push(File { path, text });
        }
    }
}

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
    let ignored: Vec<String> = ignored.lines().filter_map(|line| Some(line.strip_prefix('/')?.trim_end_matches('/').to_owned())).collect();
    let mut files = Vec::new();
    collect(root, "", &ignored, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let text = |path: &str| files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str());
    let exists = |path: &str| root.join(path).exists();
    let mut findings = Vec::new();
    let mut all_kinds = Vec::new();
    for file in &files {
        findings.extend(machine_paths(file));
        findings.extend(no_mod_rs(&file.path));
        if file.path.ends_with(".rs") {
            findings.extend([header(file), size(file), no_unsafe(file), randomness(file), replay_in_code(file)].into_iter().flatten());
            findings.extend(forbidden_calls(file));
            findings.extend(room_layers(file));
            findings.extend(unlisted_disclosures(file));
            if is_library(&file.path) {
                all_kinds.extend(kinds(file));
            }
        }
        if file.path.ends_with(".md") {
            findings.extend(dead_links(file, exists));
        }
        if file.path.ends_with("Cargo.toml") {
            findings.extend(replay_in_manifest(file));
        }
        if let Some(name) = file.path.strip_prefix("protocols/").and_then(|path| path.strip_suffix("/Cargo.toml")) {
            findings.extend(crate_layers(name, &file.text));
        }
    }
    findings.extend(root_layers(text("Cargo.toml")));
    findings.extend(kind_rules(&all_kinds, text("docs/WIRE.md")));
    let adrs: Vec<&str> = files.iter().filter_map(|file| file.path.strip_prefix("docs/adr/")).collect();
    findings.extend(adr_numbers(&adrs));
    assert!(files.len() > 50 && all_kinds.len() > 15 && adrs.len() > 5, "the walk found too little to judge");
    assert!(findings.is_empty(), "{} findings:\n  {}\n", findings.len(), findings.join("\n  "));
}

// ---- Self-tests: every rule catches a bad sample and lets a good one pass -----------------------------------------------------

fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn literals_and_comments_are_not_code() {
    let text = "a /* x /* y */ z */ b \"str\\\" // in\" c 'q' d '\\'' e r#\"raw \" unsafe\"# f 'life g // h\ni br\"b\" j";
    assert_eq!(code_only(text).split_whitespace().collect::<String>(), "abcdef'lifegij");
    assert_eq!(code_only(text).lines().count(), 2);
    assert!(has_word("x unsafe {", "unsafe") && !has_word("unsafe_code not_unsafe", "unsafe"));
}

#[test]
fn headers_sizes_and_names() {
    assert!(header(&file("src/a.rs", "use x;\n")).is_some());
    assert!(header(&file("src/a.rs", "//!\n//! later\n")).is_some());
    assert!(header(&file("src/a.rs", "//! Says its one job.\n")).is_none());
    let long = "x\n".repeat(MOST_LINES + 1);
    assert!(size(&file("src/a.rs", &long)).is_some());
    assert!(size(&file("src/a/tests.rs", &long)).is_none());
    let tail = format!("x\n#[cfg(test)]\nmod tests;\n\n#[cfg(test)]\n#[allow(x)]\nmod inner {{\n{long}}}\ny\n");
    assert_eq!(without_tests(&tail), "x\n#[cfg(test)]\nmod tests;\n\ny");
    assert!(size(&file("src/a.rs", &tail)).is_none());
    assert!(no_mod_rs("src/a/mod.rs").is_some() && no_mod_rs("src/a.rs").is_none());
}

#[test]
fn unsafe_calls_and_randomness() {
    assert!(no_unsafe(&file("src/a.rs", "fn f() { unsafe { g() } }")).is_some());
    assert!(no_unsafe(&file("src/a.rs", "#![allow(unsafe_code)]")).is_some());
    assert!(no_unsafe(&file("src/a.rs", "// unsafe\nlet s = \"unsafe-inline\";")).is_none());
    assert!(no_unsafe(&file(UNSAFE_FILES[0], "unsafe fn f() {}")).is_none());
    for call in ["println!(\"x\")", "dbg!(x)", "todo!()", "unimplemented!()", "print!(\"\")"] {
        assert_eq!(forbidden_calls(&file("src/a.rs", &format!("fn f() {{ {call} }}"))).len(), 1, "{call}");
        assert!(forbidden_calls(&file("src/bin/a.rs", call)).is_empty() && forbidden_calls(&file("src/a/tests.rs", call)).is_empty());
    }
    assert!(forbidden_calls(&file("src/a.rs", "eprintln!(\"x\"); // println!\n#[cfg(test)]\nmod tests {\n  println!()\n}")).is_empty());
    assert!(randomness(&file("src/a.rs", "use ring::rand::SystemRandom;")).is_some());
    assert!(randomness(&file(RANDOMNESS_FILES[0], "getrandom::fill(b)")).is_none());
}

#[test]
fn the_seeded_stream_is_for_tests() {
    for path in ["src/session/receipt.rs", "src/bin/colift-owner.rs", "protocols/psi/src/vole.rs"] {
        assert!(replay_in_code(&file(path, "use colift_primitives::rng::insecure_replay;")).is_some(), "{path}");
    }
    assert!(
        replay_in_code(&file("src/a.rs", "// insecure_replay\n#[cfg(test)]\nmod tests {\n    insecure_replay::begin(&seed);\n}")).is_none()
    );
    assert!(replay_in_code(&file("tests/recorded/party.rs", "insecure_replay::begin(&seed);")).is_none());
    assert!(replay_in_code(&file(REPLAY_FILES[0], "insecure_replay::fill(b)")).is_none());
    let count = |path: &str, text: &str| replay_in_manifest(&file(path, text)).len();
    let feature = "colift-primitives = { workspace = true, features = [\"insecure_replay\"] }";
    for table in ["dependencies", "dev-dependencies", "build-dependencies", "workspace.dependencies", "target.'cfg(unix)'.dependencies"] {
        assert_eq!(count("Cargo.toml", &format!("[{table}]\n{feature}")), 1, "{table}");
    }
    assert_eq!(count("Cargo.toml", "[features]\ndefault = [\"colift-primitives/insecure_replay\"]"), 1);
    assert_eq!(count("protocols/primitives/Cargo.toml", "[features]\ndefault = [\"insecure_replay\"]\ninsecure_replay = []"), 1);
    assert_eq!(count("Cargo.toml", "[dependencies.colift-primitives]\nfeatures = [\"insecure_replay\"]"), 1);
    assert_eq!(count("Cargo.toml", "[features]\ndefault = [\"replay\"]"), 1);
    let asked = "[features]\nreplay = [\"colift-primitives/insecure_replay\"]\n[[test]]\nrequired-features = [\"replay\"]";
    assert_eq!(count("Cargo.toml", &format!("# insecure_replay\n[dependencies]\nring = \"1\"\n{asked}")), 0);
    assert_eq!(count("protocols/primitives/Cargo.toml", "[features]\ninsecure_replay = []\n[dependencies]"), 0);
}

#[test]
fn layers_of_crates() {
    let manifest = |table: &str, line: &str| format!("[package]\nname = \"colift-x\"\n[{table}]\n{line}\n[lints]\nworkspace = true\n");
    assert_eq!(crate_layers("channel", &manifest("dependencies", "colift-primitives.workspace = true")).len(), 1);
    assert_eq!(crate_layers("rlwe", &manifest("dependencies", "colift-correlation = { path = \"../correlation\" }")).len(), 1);
    assert_eq!(crate_layers("psi", &manifest("dev-dependencies", "colift = { path = \"../..\" }")).len(), 1);
    assert_eq!(crate_layers("psi", &manifest("dependencies", "colift-testkit.workspace = true")).len(), 1);
    assert_eq!(crate_layers("psi", &manifest("dependencies.colift-algebra", "workspace = true")).len(), 1);
    assert_eq!(crate_layers("new", "").len(), 1);
    assert!(crate_layers("algebra", &manifest("dependencies", "colift-rlwe.workspace = true\nrayon.workspace = true")).is_empty());
    assert!(crate_layers("psi", &manifest("dev-dependencies", "colift-testkit.workspace = true")).is_empty());
    assert!(root_layers(&manifest("dependencies", "colift-testkit.workspace = true")).is_some());
    assert!(root_layers(&manifest("dev-dependencies", "colift-testkit.workspace = true")).is_none());
}

#[test]
fn layers_of_rooms() {
    let count = |path: &str, text: &str| room_layers(&file(path, text)).len();
    assert_eq!(count("src/training/secure.rs", "use crate::session::Home;"), 1);
    assert_eq!(count("src/training.rs", "use crate::{align::x, error::{Failure, Exit}, data};"), 2);
    assert_eq!(count("src/training/secure.rs", "use super::super::align::x;"), 1);
    assert_eq!(count("src/training/secure.rs", "use super::align;"), 0, "a module of its own");
    assert_eq!(count("src/data/read.rs", "fn f() { crate::training::g() }"), 1);
    assert_eq!(count("src/report.rs", "use crate::session::Home;"), 1);
    assert_eq!(count("src/training/secure.rs", "use std::net::TcpStream;"), 1);
    assert_eq!(count("src/novel.rs", ""), 1);
    assert_eq!(count("src/training/secure.rs", "use crate::error::Failure;\nuse crate::training::twin;\n// crate::session"), 0);
    assert_eq!(count("src/rehearse.rs", "use crate::{align, session, training};"), 0);
    assert_eq!(count("src/bin/a.rs", "use colift::run;") + count("src/lib.rs", "pub mod align;"), 0);
    for (name, allowed) in ROOMS {
        assert!(allowed.iter().all(|other| *other == "*" || ROOMS.iter().any(|(room, _)| room == other)), "{name}");
    }
}

#[test]
fn message_kinds() {
    let one = kinds(&file(
        "src/a.rs",
        "/// Kind { code: 9, name: 1 }\nconst A: Kind = Kind { code: 0x0201, name: \"a\" };\nErr(E::WrongKind { code: 7 })",
    ));
    assert_eq!(one, [(0x0201, "src/a.rs".to_owned())]);
    assert_eq!(kinds(&file("src/a.rs", "Kind {\n    code: 513,\n    name: \"a\" }")), [(513, "src/a.rs".to_owned())]);
    assert_eq!(kinds(&file("protocols/channel/src/tls/frames.rs", "const READY: u16 = 0x00f2;")).len(), 1);
    let twice = [one.clone(), one.clone()].concat();
    assert_eq!(kind_rules(&twice, "0x0201").len(), 1);
    assert_eq!(kind_rules(&one, "nothing").len(), 1);
    assert!(kind_rules(&one, "| 0x0201 |").is_empty());
    assert_eq!(kind_rules(&[(0x0581, "src/run.rs".to_owned())], "0x0581").len(), 1);
    assert_eq!(kind_rules(&[(0x0505, DISCLOSING_FILES[0].to_owned())], "0x0505").len(), 1);
    assert!(kind_rules(&[(0x0581, DISCLOSING_FILES[0].to_owned())], "0x0581").is_empty());
    assert_eq!(unlisted_disclosures(&file(DISCLOSING_FILES[1], "fn f() { channel.send(SPLIT, &x) }")).len(), 1);
    assert!(unlisted_disclosures(&file(DISCLOSING_FILES[1], "fn f() { ledger.note(X, 1, 2)?; channel.send(SPLIT, &x) }")).is_empty());
    assert_eq!(unlisted_disclosures(&file(DISCLOSING_FILES[0], "fn f() { ledger.note(X)?; c.send(A) }\nfn g() { c.send(B) }")).len(), 1);
}

#[test]
fn documents() {
    let path = |name: &str| ["see /", name, "/main"].concat();
    for name in ["work", "home", "tmp"] {
        assert_eq!(machine_paths(&file("docs/a.md", &format!("fine\n{}", path(name)))), ["docs/a.md:2: an absolute path of one machine"]);
    }
    assert!(machine_paths(&file("docs/a.md", &["https://example.com", &path("home")[4..], " ~", &path("tmp")[4..]].concat())).is_empty());
    assert!(adr_numbers(&["0002-b.md", "0001-a.md"]).is_empty());
    assert_eq!(adr_numbers(&["0001-a.md", "0003-b.md"]).len(), 1);
    assert_eq!(adr_numbers(&["0001-a.md", "0001-b.md"]).len(), 1);
    assert_eq!(adr_numbers(&["a.md"]).len(), 1);
    let exists = |path: &str| path == "docs/WIRE.md";
    assert_eq!(dead_links(&file("docs/adr/0001-a.md", "[w](../WIRE.md#x) [x](WIRE.md) [y](https://a.b) [z](#z)"), exists).len(), 1);
}
