//! Node types by name: the native ones of the registry and the Python SDK's own classes, and which
//! of the two a node of a manifest gets.

use nodes::{NodeType, Registry, suggest};

use crate::model::{ManifestNode, RuntimeHint};
use crate::placement::{Engine, NodeSource};

#[cfg(test)]
mod tests;

/// A node class of the Python SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PythonNode {
    /// Name of the class and of the node type.
    pub name: &'static str,
    /// Module of the class.
    pub module: &'static str,
    /// One sentence that describes the node to users.
    pub summary: &'static str,
}

/// The SDK's classes, in alphabetical order.
const PYTHON_NODES: [PythonNode; 29] = [
    node("AddNode", "simple_math", "Adds a constant to a number or to each number of a list."),
    node("AudioBuffer", "audio", "Collects a stream of audio into pieces of one fixed length."),
    node("AudioResampleNode", "audio", "Changes the sample rate of audio."),
    node("AudioSink", "audio", "Writes audio to a file or a pipe, or plays it."),
    node("AudioSource", "audio", "Reads audio from a file, a pipe or a device."),
    node("AudioTransform", "audio", "Changes the sample rate and the channel count of audio."),
    node("BiquadNode", "audio", "Filters audio: high-pass, low-pass or notch."),
    node("BufferNode", "base", "Collects items into lists of one fixed length."),
    node("CalculatorNode", "calculator", "Does arithmetic on a number or on a request dict."),
    node("ChunkerNode", "audio", "Cuts audio into chunks of one length, which may overlap."),
    node("DataSinkNode", "io_nodes", "Hands every item to a callback and passes it on."),
    node("DataSourceNode", "io_nodes", "Produces the items that are pushed into it."),
    node("ExtractAudioDataNode", "audio", "Takes the samples out of audio, as a flat array."),
    node("FormatConverterNode", "audio", "Converts audio samples between formats and layouts."),
    node("GainNode", "audio", "Makes audio louder or quieter by a number of decibels."),
    node("LevelMeterNode", "audio", "Measures peak, RMS level and loudness of each item."),
    node("MelSpectrogramNode", "audio", "Energy in mel bands, as librosa or Whisper computes it."),
    node("MixChannelsNode", "audio", "Mixes audio to one channel, or changes their number."),
    node("MultiplyNode", "simple_math", "Multiplies a number or each number of a list."),
    node("NoiseSuppressionNode", "audio", "Removes noise from speech (RNNoise)."),
    node("NormalizeNode", "audio", "Gives a recording a peak, an RMS level or a loudness."),
    node("PassThroughNode", "base", "Passes every item on unchanged."),
    node("SilenceTrimNode", "audio", "Removes silence from both ends of a recording."),
    node("SplitChannelsNode", "audio", "Gives each channel of audio as an item of its own."),
    node("StatefulCounter", "custom", "Counts its items."),
    node("TextProcessorNode", "text_processor", "Applies named operations to a text."),
    node("TextTransformNode", "transform", "Applies a function to a text."),
    node("VADNode", "audio", "Finds speech in audio by its energy."),
    node("VoiceActivityDetector", "audio", "Tells speech from silence in a stream of audio."),
];

const fn node(name: &'static str, module: &'static str, summary: &'static str) -> PythonNode {
    PythonNode { name, module, summary }
}

impl PythonNode {
    /// The full name of the module.
    #[must_use]
    pub fn module_path(&self) -> String {
        format!("remotemedia.nodes.{}", self.module)
    }
}

/// Where a node's code comes from, and which engine runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Where its code comes from.
    pub source: NodeSource,
    /// Engine that runs the node.
    pub runtime: Engine,
}

/// Why a node type cannot be resolved to code for the requested engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The name is unknown.
    #[error("{}", unknown_type(.node_type, .nearest.as_deref()))]
    UnknownType {
        /// The name as written.
        node_type: String,
        /// The most similar known name.
        nearest: Option<String>,
    },
    /// This build leaves the node out.
    #[error("node type '{node_type}' is not in this build of RemoteMedia: {advice}")]
    NotBuilt {
        /// The name as written.
        node_type: String,
        /// How to get it.
        advice: &'static str,
    },
    /// The part before or after the colon is not a dotted Python name.
    #[error(
        "node type '{node_type}' is not of the form package.module:Class; both parts are Python \
         names joined by dots"
    )]
    BadImport {
        /// The name as written.
        node_type: String,
    },
    /// A class or function of the caller's script, which no worker can import.
    #[error(
        "node type '{node_type}' is defined in the main script, which a worker cannot import; \
         move it to a module, or run the pipeline from Python"
    )]
    MainModule {
        /// The name as written.
        node_type: String,
    },
    /// The hint asks for a native node, but the type has none.
    #[error("node type '{node_type}' has no native node; use runtime_hint \"cpython\" or \"auto\"")]
    NoNative {
        /// The name as written.
        node_type: String,
    },
    /// The hint asks for a Python class, but the type has none.
    #[error("node type '{node_type}' has no Python class; use runtime_hint \"native\" or \"auto\"")]
    NoPython {
        /// The name as written.
        node_type: String,
    },
}

fn unknown_type(node_type: &str, nearest: Option<&str>) -> String {
    let advice = match nearest {
        Some(name) => format!("did you mean '{name}'?"),
        None => "`remotemedia nodes` lists the known ones.".to_owned(),
    };
    format!(
        "unknown node type '{node_type}': {advice} A class of your own is written \
         package.module:Class"
    )
}

/// All node types that can be named without a module.
#[derive(Debug)]
pub struct Catalog {
    native: &'static Registry,
    python: &'static [PythonNode],
}

impl Catalog {
    /// The native nodes of this build and the classes of the Python SDK.
    #[must_use]
    pub fn builtin() -> &'static Self {
        static CATALOG: std::sync::LazyLock<Catalog> = std::sync::LazyLock::new(|| Catalog {
            native: nodes::registry::builtin(),
            python: &PYTHON_NODES,
        });
        &CATALOG
    }

    /// The native node type of that name or alias.
    #[must_use]
    pub fn native(&self, name: &str) -> Option<&'static NodeType> {
        self.native.get(name)
    }

    /// The SDK's class with this name, or with an alias of the same native type: `ResampleNode`
    /// finds `AudioResampleNode`.
    #[must_use]
    pub fn python(&self, name: &str) -> Option<&'static PythonNode> {
        let exact = |name: &str| self.python.iter().find(|node| node.name == name);
        exact(name).or_else(|| {
            let native = self.native(name)?;
            exact(native.name).or_else(|| native.aliases.iter().find_map(|alias| exact(alias)))
        })
    }

    /// The SDK's classes, in alphabetical order.
    #[must_use]
    pub fn python_nodes(&self) -> &'static [PythonNode] {
        self.python
    }

    /// All known names (native types, their aliases, SDK classes), sorted, without duplicates.
    #[must_use]
    pub fn known_names(&self) -> Vec<&'static str> {
        let mut names = self.native.names_and_aliases();
        names.extend(self.python.iter().map(|node| node.name));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The known name nearest to a misspelt one.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        suggest::nearest(name, self.known_names())
    }

    /// Finds out where the code of a node comes from and which engine runs it. `python` is the
    /// interpreter of Python nodes whose hint does not name one.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub fn resolve(&self, node: &ManifestNode, python: Engine) -> Result<Resolved, ResolveError> {
        let interpreter = match node.runtime_hint {
            RuntimeHint::CPython => Engine::CPython,
            RuntimeHint::RustPython => Engine::RustPython,
            RuntimeHint::Auto | RuntimeHint::Native => python,
        };
        let wants_native = node.runtime_hint == RuntimeHint::Native;
        if let Some(index) = node.instance {
            let source = NodeSource::Instance(index);
            return python_only(node, wants_native, Resolved { source, runtime: interpreter });
        }
        if node.node_type.contains(':') {
            let source = import(&node.node_type)?;
            return python_only(node, wants_native, Resolved { source, runtime: interpreter });
        }
        let name = node.node_type.as_str();
        let by_choice = matches!(node.runtime_hint, RuntimeHint::Auto | RuntimeHint::Native);
        if by_choice && self.native(name).is_some() {
            return Ok(Resolved { source: NodeSource::Native, runtime: Engine::Native });
        }
        match self.python(name) {
            Some(class) => {
                let source =
                    NodeSource::Import { module: class.module_path(), name: class.name.to_owned() };
                python_only(node, wants_native, Resolved { source, runtime: interpreter })
            }
            None if self.native(name).is_some() => {
                Err(ResolveError::NoPython { node_type: name.to_owned() })
            }
            None => Err(self.unknown(name)),
        }
    }

    fn unknown(&self, name: &str) -> ResolveError {
        let node_type = name.to_owned();
        match nodes::registry::how_to_get(name) {
            Some(advice) => ResolveError::NotBuilt { node_type, advice },
            None => {
                let nearest = self.nearest(name).map(str::to_owned);
                ResolveError::UnknownType { node_type, nearest }
            }
        }
    }
}

fn python_only(
    node: &ManifestNode,
    wants_native: bool,
    resolved: Resolved,
) -> Result<Resolved, ResolveError> {
    if wants_native {
        return Err(ResolveError::NoNative { node_type: node.node_type.clone() });
    }
    Ok(resolved)
}

/// Parses `package.module:Class`.
fn import(node_type: &str) -> Result<NodeSource, ResolveError> {
    let bad = || ResolveError::BadImport { node_type: node_type.to_owned() };
    let (module, name) = node_type.split_once(':').ok_or_else(bad)?;
    if !is_dotted_name(module) || !is_dotted_name(name) {
        return Err(bad());
    }
    if module == "__main__" {
        return Err(ResolveError::MainModule { node_type: node_type.to_owned() });
    }
    Ok(NodeSource::Import { module: module.to_owned(), name: name.to_owned() })
}

fn is_dotted_name(text: &str) -> bool {
    text.split('.').all(|part| {
        let mut letters = part.chars();
        letters.next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && letters.all(|c| c.is_alphanumeric() || c == '_')
    })
}
