//! The commands in the documents: each is run as it stands there, and prints what stands there.
//!
//! A `toml` block that has a site is the gateway.toml of all commands behind it. In a `console` block `$ ` begins a
//! command and the rest is its output, both streams as they come. `‹port›`, `‹token›` and `‹time›` stand for what differs
//! from run to run; nothing else does.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use crate::harness::Folder;

/// A command, and what it prints.
struct Example {
    line: usize,
    configuration: String,
    command: String,
    output: String,
}

fn examples(text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let (mut configuration, mut block, mut language) = (String::new(), String::new(), None);
    for (number, line) in text.lines().enumerate() {
        match (language, line.strip_prefix("```")) {
            (None, Some(name)) => language = Some(name),
            (Some(name), Some(_)) => {
                if name == "toml" && block.contains("[[site]]") {
                    configuration = std::mem::take(&mut block);
                }
                block.clear();
                language = None;
            }
            (Some("console"), None) => {
                if let Some(command) = line.strip_prefix("$ ") {
                    examples.push(Example {
                        line: number + 1,
                        configuration: configuration.clone(),
                        command: command.to_owned(),
                        output: String::new(),
                    });
                } else {
                    let example = examples.last_mut().expect("a block begins with a command");
                    example.output.push_str(line);
                    example.output.push('\n');
                }
            }
            (Some(_), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    examples
}

/// Runs a command of member-gateway; both streams in the order in which they were written, and the exit status.
fn run(example: &Example) -> (String, i32) {
    let folder = Folder::with(&example.configuration);
    let arguments: Vec<&str> = example.command.split(' ').skip(1).collect();
    let path = folder.path().join("output");
    let output = File::create(&path).unwrap();
    let mut command = folder.command(&arguments);
    let command = command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    let status = command.status().unwrap();
    (std::fs::read_to_string(path).unwrap(), status.code().unwrap())
}

/// Whether a printed text is the documented one, up to what is marked there.
fn is_as_documented(printed: &str, documented: &str) -> bool {
    let Some((before, rest)) = documented.split_once('‹') else { return printed == documented };
    let (mark, after) = rest.split_once('›').expect("a mark ends");
    let fits = match mark {
        "port" => |c: char| c.is_ascii_digit(),
        "token" => |c: char| c.is_ascii_graphic(),
        "time" => |c: char| c.is_ascii_graphic() || c == ' ',
        _ => panic!("‹{mark}› is no mark"),
    };
    let Some(printed) = printed.strip_prefix(before) else { return false };
    let longest = printed.find(|c: char| !fits(c)).unwrap_or(printed.len());
    (1..=longest).any(|length| is_as_documented(&printed[length..], after))
}

fn prints_what_it_says(document: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = std::fs::read_to_string(path).unwrap();
    let mut last_status = 0;
    let examples = examples(&text);
    assert!(!examples.is_empty(), "{document} has no commands");
    for example in examples {
        let (printed, status) = match example.command.as_str() {
            "echo $?" => (format!("{last_status}\n"), 0),
            _ => run(&example),
        };
        assert!(
            is_as_documented(&printed, &example.output),
            "{document}:{}: `{}` prints something else. Put this into the document:\n\n{printed}",
            example.line,
            example.command
        );
        last_status = status;
    }
}

#[test]
fn what_the_setup_of_daxko_shows_is_what_the_commands_print() {
    prints_what_it_says("docs/daxko.md");
}

#[test]
fn nothing_but_a_mark_may_differ() {
    assert!(is_as_documented("at 127.0.0.1:4711.\n", "at 127.0.0.1:‹port›.\n"));
    assert!(is_as_documented("until Mon, 23 Nov 2026 08:00:00 GMT.\n", "until ‹time›.\n"));
    assert!(is_as_documented("eyJ.a-b_c\n", "‹token›\n"));
    for (printed, documented) in [
        ("at 127.0.0.1:x.\n", "at 127.0.0.1:‹port›.\n"),
        ("at 127.0.0.1:.\n", "at 127.0.0.1:‹port›.\n"),
        ("two words\n", "‹token›\n"),
        ("a\nb\n", "‹time›\n"),
        ("a \n", "a\n"),
        ("a\n\n", "a\n"),
    ] {
        assert!(!is_as_documented(printed, documented), "{printed:?} {documented:?}");
    }
}
