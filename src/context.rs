//! The transcript's first lines: what the run was given, and what it may do.

use serde_json::{Value, json};

use crate::base::env;
use crate::base::failure::Result;
use crate::chat::ToolSpec;
use crate::cli::input::Opening;
use crate::cli::rights::Files;
use crate::cli::settings::Settings;
use crate::sandbox::Sandbox;
use crate::tools::custom::OwnTool;
use crate::transcript::{Context, Recorder};
use crate::wire::RequestHead;

/// Writes the header and context lines.
///
/// # Errors
/// They cannot be written.
pub fn record(
    recorder: &Recorder,
    settings: &Settings,
    head: &RequestHead<'_>,
    opening: &Opening,
    sandbox: Option<&Sandbox>,
) -> Result<()> {
    let cwd = env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default();
    recorder.title(&cwd, &opening.instruction);
    if recorder.is_idle() {
        return Ok(());
    }
    recorder.context(&Context {
        system: head.system,
        tools: head.tools.iter().map(tool).collect(),
        params: params(head),
        permissions: permissions(settings),
        sandbox: sandbox.map_or_else(|| json!({}), confinement),
        inputs: &opening.inputs,
    })
}

fn params(head: &RequestHead<'_>) -> Value {
    let mut params = json!({"max_tokens": head.max_tokens});
    let given = [
        ("effort", head.params.effort.clone().map(Value::from)),
        ("temperature", head.params.temperature.map(Value::from)),
        ("seed", head.params.seed.map(Value::from)),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            params[name] = value;
        }
    }
    for (name, value) in &head.params.extra {
        params[name] = serde_json::from_str(value.get()).unwrap_or_default();
    }
    params
}

fn tool(spec: &ToolSpec) -> Value {
    let schema: Value = serde_json::from_str(&spec.schema).unwrap_or_default();
    json!({"name": spec.name, "description": spec.description, "input_schema": schema})
}

fn permissions(settings: &Settings) -> Value {
    let mut permissions = json!({});
    if let Files::Beneath(root) = &settings.files {
        permissions["read"] = root.display().to_string().into();
        let (allow, deny) = settings.policy.words();
        permissions["allow"] = allow.into();
        permissions["deny"] = deny.into();
        let tools = &settings.own_tools;
        let tool = |tool: &OwnTool| json!({"path": tool.path.display().to_string(), "trusted": tool.trusted});
        permissions["tools"] = tools.iter().map(tool).collect();
    }
    permissions
}

fn confinement(sandbox: &Sandbox) -> Value {
    json!({"level": sandbox.level().name(), "gaps": sandbox.gaps()})
}
