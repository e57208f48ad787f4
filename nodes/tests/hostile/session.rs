//! One session at random: a node, its parameters, and calls in any order. What must hold after each
//! call is here.

use ipc_protocol::{Array, Value};
use nodes::node::Node;
use nodes::{NodeError, NodeType, Params, panics, registry};

use crate::dice::Dice;
use crate::items;
use crate::parameters;
use crate::sound::Habit;

/// A message longer than this repeats what the user gave.
const LONGEST_MESSAGE: usize = 600;

/// What became of the frames of a session.
#[derive(Default, Clone, Copy)]
pub(crate) struct Tally {
    /// Items given to the node.
    pub(crate) frames: u64,
    /// Items that the node took; the others gave an error.
    pub(crate) results: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.frames += other.frames;
        self.results += other.results;
    }

    pub(crate) fn percent(self) -> f64 {
        100.0 * self.results as f64 / self.frames.max(1) as f64
    }
}

/// Runs the session of a seed.
///
/// # Errors
/// What did not hold.
pub(crate) fn run(seed: u64, is_told: bool) -> Result<(&'static str, Tally), String> {
    let mut dice = Dice::new(seed);
    let node_type = dice.pick(registry::builtin().types());
    let is_wild = dice.chance(50);
    let given = if is_wild {
        parameters::wild(&mut dice, node_type)
    } else {
        parameters::fitting(&mut dice, node_type)
    };
    if is_told {
        println!("{} with {}", node_type.name, brief(&given));
    }
    let checked = panics::catch(|| node_type.check_params(&given))
        .map_err(|panic| format!("check_params {panic}"))?;
    let params = match checked {
        Ok(params) => params,
        Err(problems) if is_wild => {
            for problem in problems {
                check_message(&problem.to_string())?;
            }
            return Ok((node_type.name, Tally::default()));
        }
        Err(problems) => return Err(format!("{} refused {problems:?}", node_type.name)),
    };
    let mut session = Session::new(&mut dice, node_type, &params)?;
    let mut tally = Tally::default();
    for _ in 0..=dice.roll(60) {
        if dice.chance(50) {
            session.flush(is_told)?;
        } else {
            tally.frames += 1;
            tally.results += u64::from(session.process(&mut dice, is_told)?);
        }
    }
    session.flush(is_told)?;
    session.flush(is_told)?;
    Ok((node_type.name, tally))
}

struct Session {
    node_type: &'static NodeType,
    node: Box<dyn Node>,
    /// Gets only the items that the node took, and must answer the same.
    twin: Option<Box<dyn Node>>,
    habit: Habit,
}

impl Session {
    fn new(dice: &mut Dice, node_type: &'static NodeType, params: &Params) -> Result<Self, String> {
        let build = || {
            panics::catch(|| (node_type.build)(params))
                .map_err(|panic| format!("build {panic}"))?
                .map_err(|problem| format!("build: {problem}"))
        };
        let twin = if dice.chance(200) { Some(build()?) } else { None };
        Ok(Self { node_type, node: build()?, twin, habit: Habit::new(dice) })
    }

    /// Gives the node an item; whether it was taken.
    fn process(&mut self, dice: &mut Dice, is_told: bool) -> Result<bool, String> {
        let is_audio = self.node_type.capabilities.contains(&"audio");
        let item = match dice.roll(100) {
            0..5 => items::junk(dice),
            5..10 if is_audio => items::number_item(dice),
            5..10 => self.habit.item(dice),
            _ if is_audio => self.habit.item(dice),
            _ => items::number_item(dice),
        };
        let told = if is_told { brief(&item) } else { String::new() };
        let given = bytes_of(&item);
        let twins = self.twin.is_some().then(|| item.clone());
        let answer = call(|out| self.node.process(item, out))?;
        if is_told {
            println!("process {told}\n  -> {}", brief(&answer));
        }
        match &answer {
            Ok(outputs) => self.check_outputs(outputs, given)?,
            Err(error) => check_error(error)?,
        }
        if let (Some(twin), Some(item), Ok(outputs)) = (&mut self.twin, twins, &answer) {
            let again = call(|out| twin.process(item, out))?;
            check_same(outputs, &again)?;
        }
        Ok(answer.is_ok())
    }

    fn flush(&mut self, is_told: bool) -> Result<(), String> {
        let answer = call(|out| self.node.flush(out))?;
        if is_told {
            println!("flush\n  -> {}", brief(&answer));
        }
        let outputs = answer.map_err(|error| format!("a flush failed: {error}"))?;
        self.check_outputs(&outputs, 0)?;
        match &mut self.twin {
            Some(twin) => check_same(&outputs, &call(|out| twin.flush(out))?),
            None => Ok(()),
        }
    }

    fn check_outputs(&self, outputs: &[Value], given: usize) -> Result<(), String> {
        let made: usize = outputs.iter().map(bytes_of).sum();
        let most = most_bytes(self.node_type.name, given);
        if made > most {
            return Err(format!("{given} bytes became {made}, at most {most} were expected"));
        }
        if self.node_type.name == "PassThroughNode" {
            return Ok(());
        }
        let is_finite = matches!(self.node_type.name, "ResampleNode" | "VADNode");
        let is_tagged = self.node_type.name == "VADNode";
        outputs.iter().try_for_each(|value| check_value(value, is_finite && !is_tagged))
    }
}

/// The most bytes that a node makes of an item, as its module documents it. Streams give what they
/// kept, too: one block of the resampler (64 MiB), the segments of ten minutes.
fn most_bytes(name: &str, given: usize) -> usize {
    const MIB: usize = 1 << 20;
    match name {
        "PassThroughNode" => given,
        "FormatConverterNode" => 8 * given + 1_000,
        "AddNode" | "MultiplyNode" => 8 * given + 1_000,
        "CalculatorNode" => 3 * given + 130_000,
        // Of int16 one sample becomes a float32, of a list's number a number again.
        "ResampleNode" => (32 * given).max(128 * MIB) + 64 * MIB,
        "ChunkerNode" | "MelSpectrogramNode" => 64 * given + 128 * MIB,
        "MixChannelsNode" => 1_024 * given + MIB,
        _ => 4 * given + 32 * MIB,
    }
}

type Answer = Result<Vec<Value>, NodeError>;

/// A call of a node, whose panic is a failure of the test.
fn call(
    call: impl FnOnce(&mut dyn FnMut(Value)) -> Result<(), NodeError>,
) -> Result<Answer, String> {
    let mut outputs = Vec::new();
    let result = panics::catch(|| call(&mut |value| outputs.push(value)));
    let result = result.map_err(|panic| format!("the node {panic}"))?;
    Ok(result.map(|()| outputs))
}

fn check_error(error: &NodeError) -> Result<(), String> {
    const TYPES: [&str; 4] = ["TypeError", "ValueError", "ZeroDivisionError", "OverflowError"];
    if !TYPES.contains(&error.type_name()) {
        return Err(format!("not an error of the item: {error}"));
    }
    check_message(&error.to_string())
}

fn check_message(text: &str) -> Result<(), String> {
    let is_fine = (10..LONGEST_MESSAGE).contains(&text.len());
    if is_fine { Ok(()) } else { Err(format!("a message of {} bytes: {text:.300}", text.len())) }
}

/// Whether every array holds what its shape says, and, where that is promised, only finite numbers.
fn check_value(value: &Value, is_finite: bool) -> Result<(), String> {
    match value {
        Value::Array(array) => check_array(array, is_finite),
        Value::Audio(audio) => check_array(&audio.samples, is_finite),
        Value::Float(number) if is_finite && !number.is_finite() => {
            Err(format!("{number} in an output"))
        }
        Value::List(items) | Value::Tuple(items) => {
            items.iter().try_for_each(|item| check_value(item, is_finite))
        }
        Value::Dict(entries) => entries.iter().try_for_each(|(key, value)| {
            // What a segment says is finite, whatever else the item had in it.
            let is = |name: &str| matches!(key, Value::Str(text) if text == name);
            let is_level = is("energy_db") || is("confidence");
            check_value(value, is_level || (is_finite && is("data")))
        }),
        _ => Ok(()),
    }
}

fn check_array(array: &Array, is_finite: bool) -> Result<(), String> {
    let bytes = array.data.as_slice();
    let count = array.shape.iter().try_fold(1_u64, |product, axis| product.checked_mul(*axis));
    let wanted = count.and_then(|count| count.checked_mul(array.dtype.item_bytes.into()));
    if wanted != Some(bytes.len() as u64) {
        return Err(format!("{:?} {} in {} bytes", array.shape, array.dtype.descr, bytes.len()));
    }
    let mut floats = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    if is_finite && array.dtype.descr == "<f4" && !floats.all(f32::is_finite) {
        return Err("an array with a sample that is not finite".to_owned());
    }
    Ok(())
}

fn check_same(outputs: &[Value], twin: &Answer) -> Result<(), String> {
    match twin {
        Ok(again) if again.len() == outputs.len() && outputs.iter().zip(again).all(is_same) => {
            Ok(())
        }
        Ok(_) => Err("a refused item changed what came after it".to_owned()),
        Err(error) => Err(format!("without the refused items: {error}")),
    }
}

/// Equality by which NaN is NaN.
fn is_same((one, other): (&Value, &Value)) -> bool {
    match (one, other) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(is_same)
        }
        (Value::Dict(a), Value::Dict(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && is_same((&a.1, &b.1)))
        }
        _ => one == other,
    }
}

/// Memory of a value, but for the slack of its containers.
fn bytes_of(value: &Value) -> usize {
    let own = size_of::<Value>();
    own + match value {
        Value::Array(array) => array.data.as_slice().len(),
        Value::Audio(audio) => audio.samples.data.as_slice().len(),
        Value::Bytes(bytes) => bytes.as_slice().len(),
        Value::Str(text) => text.len(),
        Value::BigInt(int) => usize::try_from(int.bits() / 8).unwrap(),
        Value::List(items) | Value::Tuple(items) => items.iter().map(bytes_of).sum(),
        Value::Set(items) | Value::FrozenSet(items) => items.iter().map(bytes_of).sum(),
        Value::Dict(entries) => entries.iter().map(|(k, v)| bytes_of(k) + bytes_of(v)).sum(),
        _ => 0,
    }
}

fn brief(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").chars().take(400).collect()
}
