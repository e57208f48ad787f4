//! Fields of earlier versions of the manifest. Their types are checked. A field that only describes
//! a node has no effect; a field that asks for something that this build cannot do is an error.

use ipc_protocol::Value;

use super::fields::{Fields, Problems, describe, shortened};
use super::problem::ProblemKind;

const GPU_TYPES: &[&str] = &["cuda", "rocm", "metal", "vulkan", "any"];
const CPU_ARCHITECTURES: &[&str] = &["x86_64", "aarch64", "arm", "any"];
const PLACEMENTS: &[&str] = &["local", "remote", "prefer_local", "prefer_remote", "auto"];

/// Checks the fields of a node that earlier manifest versions had. Returns whether `is_output_node`
/// is set.
pub(super) fn node_fields(fields: &Fields<'_>, problems: &mut Problems) -> bool {
    capabilities(fields, problems);
    fields.object("media_capabilities", problems);
    placement(fields, problems);
    if let Some(value) = fields.get("fast_path")
        && !matches!(value, Value::Bool(_) | Value::Dict(_))
    {
        let expected = "true, false or an object";
        let kind = ProblemKind::WrongType { expected, found: describe(value) };
        fields.report("fast_path", kind, problems);
    }
    if fields.get("docker").is_some() {
        let kind = ProblemKind::Unsupported {
            what: "run nodes in containers",
            advice: "leave docker out; the node then runs in a worker process",
        };
        fields.report("docker", kind, problems);
    }
    for (index, item) in fields.list("python_deps", problems).unwrap_or_default().iter().enumerate()
    {
        if !matches!(item, Value::Str(_)) {
            let expected = "the name of a Python package";
            let kind = ProblemKind::WrongType { expected, found: describe(item) };
            fields.report(&format!("python_deps[{index}]"), kind, problems);
        }
    }
    fields.flag("is_output_node", problems).unwrap_or(false)
}

fn capabilities(fields: &Fields<'_>, problems: &mut Problems) {
    let Some(all) = fields.object("capabilities", problems) else { return };
    all.only(&["gpu", "cpu", "memory_gb"], &[], problems);
    all.positive("memory_gb", problems);
    if let Some(gpu) = all.object("gpu", problems) {
        gpu.only(&["type", "min_memory_gb", "required"], &[], problems);
        gpu.choice("type", GPU_TYPES, problems);
        gpu.positive("min_memory_gb", problems);
        gpu.flag("required", problems);
    }
    if let Some(cpu) = all.object("cpu", problems) {
        cpu.only(&["cores", "arch"], &[], problems);
        cpu.integer("cores", 1..=u64::from(u32::MAX), "at least 1", problems);
        cpu.choice("arch", CPU_ARCHITECTURES, problems);
    }
}

/// Checks `host` and `execution`. Nodes run on this machine only, so a remote placement is an
/// error.
fn placement(fields: &Fields<'_>, problems: &mut Problems) {
    const REMOTE: ProblemKind = ProblemKind::Unsupported {
        what: "run nodes on other machines",
        advice: "leave host out, or set execution.placement to \"local\"",
    };
    let host = fields.text("host", problems);
    if let Some(text) = host.filter(|text| !is_host_and_port(text)) {
        let rule = "a host is written name:port";
        fields.report("host", ProblemKind::BadText { found: shortened(text), rule }, problems);
    }
    let execution = fields.object("execution", problems);
    let chosen = execution.as_ref().and_then(|execution| {
        execution.only(&["placement", "reason", "fallback"], &[], problems);
        execution.text("reason", problems);
        if let Some(value) = execution.get("fallback")
            && !matches!(value, Value::Bool(_) | Value::Str(_))
        {
            let expected = "true, false or a placement";
            let kind = ProblemKind::WrongType { expected, found: describe(value) };
            execution.report("fallback", kind, problems);
        }
        execution.choice("placement", PLACEMENTS, problems)
    });
    match (chosen, execution) {
        (Some("remote"), Some(execution)) => execution.report("placement", REMOTE, problems),
        (None, _) if host.is_some() => fields.report("host", REMOTE, problems),
        _ => {}
    }
}

/// Checks the top-level `python_env`. Only the mode `system` is accepted: workers use an existing
/// interpreter.
pub(super) fn python_env(top: &Fields<'_>, problems: &mut Problems) {
    let Some(environment) = top.object("python_env", problems) else { return };
    if environment.text("mode", problems) != Some("system") {
        let kind = ProblemKind::Unsupported {
            what: "make Python environments",
            advice: "make one yourself, name its interpreter in [python] interpreter, and leave \
                     python_env out",
        };
        top.report("python_env", kind, problems);
    }
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && !host.contains(char::is_whitespace)
            && port.bytes().all(|b| b.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// Whether a text is a date and time in ISO 8601: `2026-01-31T12:00:00`, with or without a
/// fraction and a zone.
pub(super) fn is_timestamp(text: &str) -> bool {
    let shape = |text: &str| {
        text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>()
    };
    let Some((second, rest)) = text.split_at_checked(19) else { return false };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => rest,
    };
    let zone_is_regular = matches!(shape(zone).as_str(), "" | "Z" | "+00:00" | "-00:00");
    let two = |from: usize| second.get(from..from + 2).and_then(|text| text.parse::<u8>().ok());
    shape(second) == "0000-00-00T00:00:00"
        && zone_is_regular
        && two(5).is_some_and(|month| (1..=12).contains(&month))
        && two(8).is_some_and(|day| (1..=31).contains(&day))
        && two(11).is_some_and(|hour| hour < 24)
        && two(14).is_some_and(|minute| minute < 60)
        && two(17).is_some_and(|second| second <= 60)
}
