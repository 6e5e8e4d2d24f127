//! What an attack is, and the words in which the catalogue writes it down.

use serde_json::{Value, json};

/// Attacks of one kind.
#[derive(Debug)]
pub struct Kind {
    /// As the threat model numbers it.
    pub id: &'static str,
    /// What the attacker is after.
    pub aim: &'static str,
    pub grants: &'static [&'static str],
    pub holds: Holds,
    /// A call of the same kind that harms nobody, and what its result has in it.
    pub twin: (Call, &'static str),
    pub attacks: Vec<Attack>,
}

/// What stands against attacks of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The call is refused before anything is started, sandbox or not.
    Grants,
    /// The program runs and can do no harm.
    Sandbox,
    /// As above; in the working directory it may change what is not protected.
    SandboxWritable,
    /// As above, and it may open TCP connections.
    SandboxOnline,
}

/// A tool call.
pub type Call = (&'static str, Value);

/// One attack.
#[derive(Debug)]
pub struct Attack {
    pub call: Call,
    /// What comes of it where no sandbox holds it: the proof that the attack is one.
    pub bare: Bare,
    /// The named gap of a sandbox without namespaces that it goes through.
    pub gap: Option<&'static str>,
}

/// What comes of an attack where there is no sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bare {
    Harms,
    /// The system itself, or flux, stands against it here.
    Fails(&'static str),
    /// It is not tried: the harm would be real.
    Untried,
}

impl Attack {
    /// The system stands against it anyway, for this reason.
    pub fn fails_bare(self, why: &'static str) -> Attack {
        Attack { bare: Bare::Fails(why), ..self }
    }

    /// Too harmful to be tried without a sandbox.
    pub fn untried(self) -> Attack {
        Attack { bare: Bare::Untried, ..self }
    }

    /// Goes through where this gap is named.
    pub fn gap(self, gap: &'static str) -> Attack {
        Attack { gap: Some(gap), ..self }
    }

    /// The program that it needs.
    pub fn program(&self) -> Option<&str> {
        self.call.1["argv"][0].as_str()
    }
}

/// An attack by this call.
pub fn attack(call: Call) -> Attack {
    Attack { call, bare: Bare::Harms, gap: None }
}

/// A program.
pub fn run(argv: &[&str]) -> Call {
    ("run_command", json!({ "argv": argv }))
}

/// A script for sh.
pub fn sh(script: &str) -> Call {
    run(&["sh", "-c", script])
}

/// A script for Python.
pub fn py(script: &str) -> Call {
    run(&["python3", "-IS", "-c", script])
}

/// Python code that is harmful if it comes to its end.
pub fn tries(script: &str) -> Call {
    const MODULES: [&str; 9] = ["os", "socket", "ctypes", "fcntl", "signal", "resource", "shutil", "mmap", "stat"];
    let imports: String = MODULES
        .iter()
        .map(|name| if script.contains(name) { format!("import {name}\n") } else { String::new() })
        .collect();
    let lines: String = script.lines().map(|line| format!(" {line}\n")).collect();
    py(&format!("{imports}try:\n{lines} print({{HARM}})\nexcept Exception as e: print(type(e).__name__, e)"))
}

/// A system call that is harmful if it succeeds, or if it fails for another reason than being refused.
pub fn calls(number: i64, arguments: &str) -> Call {
    tries(&format!(
        "L = ctypes.CDLL(None, use_errno=True)\nr = L.syscall({number}, {arguments})\n\
         e = ctypes.get_errno() if r < 0 else 0\nprint(r, e)\nassert e not in (1, 38)"
    ))
}

/// flux's own tool.
pub fn tool(name: &'static str, arguments: Value) -> Call {
    (name, arguments)
}

/// Attacks by each of these scripts for sh.
pub fn scripts(scripts: &[&str]) -> Vec<Attack> {
    scripts.iter().map(|script| attack(sh(script))).collect()
}
