//! A transcript as a test reads it, and the rules that every transcript keeps.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// The lines of a transcript.
#[derive(Debug, Clone)]
pub struct Transcript(pub Vec<Value>);

impl Transcript {
    /// Reads a file; every line must be complete and valid.
    pub fn read(path: &Path) -> Result<Transcript, String> {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Transcript::parse(&text)
    }

    /// Reads a text.
    pub fn parse(text: &str) -> Result<Transcript, String> {
        if !text.is_empty() && !text.ends_with('\n') {
            return Err("the transcript's last line is torn".into());
        }
        let line = |(n, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|e| format!("transcript line {}: {e}: {line}", n + 1))
        };
        text.lines().enumerate().map(line).collect::<Result<_, _>>().map(Transcript)
    }

    /// The lines of that type.
    pub fn of_type(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|l| l["type"] == kind).collect()
    }

    /// The data of the custom lines of that type.
    pub fn custom(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|l| l["customType"] == kind).map(|l| &l["data"]).collect()
    }

    /// The messages of that role.
    pub fn messages(&self, role: &str) -> Vec<&Value> {
        self.0.iter().map(|l| &l["message"]).filter(|m| m["role"] == role).collect()
    }

    /// The one `result` line.
    #[track_caller]
    pub fn result(&self) -> &Value {
        let results = self.of_type("result");
        assert_eq!(results.len(), 1, "exactly one result line was expected in {:#?}", self.0);
        results[0]
    }

    /// Everything that breaks `transcript.md`.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let header = self.0.first().cloned().unwrap_or_default();
        if header["type"] != "session" || header["schema"] != "flux-transcript/1" || header["version"] != 3 {
            faults.push(format!("not a header: {header}"));
        }
        if self.of_type("result").len() != 1 || self.0.last().is_none_or(|l| l["type"] != "result") {
            faults.push("there must be one result line, the last".into());
        }
        for (n, line) in self.0.iter().enumerate() {
            line_faults(n, line, &mut faults);
        }
        self.pairing_faults(&mut faults);
        faults
    }

    /// What prunes have removed are whole turns: an assistant's line together with all its results, or a question
    /// together with its answer.
    #[track_caller]
    pub fn removed_in_whole_turns(&self) {
        let removed: Vec<&Value> =
            self.custom("flux.prune").iter().flat_map(|p| p["removed"].as_array().expect("a list")).collect();
        let mut turn_is_gone = false;
        for line in self.0.iter().filter(|line| line["type"] == "message") {
            let gone = removed.contains(&&line["id"]);
            match line["message"]["role"].as_str() {
                Some("assistant") => turn_is_gone = gone,
                Some("toolResult") => assert_eq!(gone, turn_is_gone, "half a turn was removed: {line}"),
                _ => {}
            }
        }
    }

    fn pairing_faults(&self, faults: &mut Vec<String>) {
        let mut waiting: Vec<Value> = Vec::new();
        for line in &self.0 {
            let message = &line["message"];
            if message["role"] == "assistant" {
                let blocks = message["content"].as_array().cloned().unwrap_or_default();
                waiting.extend(blocks.iter().filter(|b| b["type"] == "toolCall").map(|b| b["id"].clone()));
            } else if message["role"] == "toolResult" {
                match waiting.iter().position(|id| *id == message["toolCallId"]) {
                    Some(0) => drop(waiting.remove(0)),
                    _ => faults.push(format!("a result out of place: {line}")),
                }
            }
        }
        if !waiting.is_empty() && self.of_type("result").iter().any(|r| r["exit_code"] == 0) {
            faults.push(format!("calls without results: {waiting:?}"));
        }
    }
}

fn line_faults(n: usize, line: &Value, faults: &mut Vec<String>) {
    if line["seq"] != n {
        faults.push(format!("line {n} has seq {}", line["seq"]));
    }
    for key in ["run", "id", "timestamp"] {
        if !line[key].is_string() {
            faults.push(format!("line {n} has no {key}"));
        }
    }
    if n > 0 && line.get("parentId").is_none() {
        faults.push(format!("line {n} has no parentId"));
    }
    let forbidden = ["user", "assistant", "system", "session_meta", "turn_context", "response_item", "event_msg"];
    if forbidden.iter().any(|kind| line["type"] == *kind) || line.get("session_id").is_some() {
        faults.push(format!("line {n} looks like another program's: {line}"));
    }
}
