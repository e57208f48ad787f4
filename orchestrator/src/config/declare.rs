//! The one declaration of a setting, and what follows from it: a typed field with its default, and a
//! [`Key`] from which the reader, the reference, the schema and the template work.

use std::fmt;

use serde_json::Value as Json;
use toml::Value;

use super::Config;
use super::error::ConfigProblemKind as Wrong;
use super::kinds::Kind;

/// What it takes until a changed setting counts in a program that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It counts at once.
    Now,
    /// It counts for sessions that open from then on.
    Sessions,
    /// It counts for workers that start from then on.
    Workers,
    /// It needs a new program, or a new `Runtime`.
    Restart,
}

impl Effect {
    /// The word for it in the reference.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Now => "at once",
            Self::Sessions => "next session",
            Self::Workers => "next worker",
            Self::Restart => "restart",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Sets one setting of a `G` to what is written.
type Set<G> = Box<dyn Fn(&mut G, &Value) -> Result<(), Wrong> + Send + Sync>;
/// A setting of a `G`, as it is written.
type Get<G> = Box<dyn Fn(&G) -> Value + Send + Sync>;

/// A setting of a `G`.
pub(super) struct Declared<G> {
    /// Name inside the section.
    pub(super) name: &'static str,
    /// Its effect, for the reference.
    pub(super) doc: String,
    /// The name of its type.
    pub(super) kind: &'static str,
    /// The allowed values in words; empty: all of the type.
    pub(super) range: String,
    /// The JSON Schema of what is written.
    pub(super) schema: Json,
    /// When a change counts.
    pub(super) effect: Effect,
    pub(super) get: Get<G>,
    pub(super) set: Set<G>,
}

impl<G: 'static> Declared<G> {
    pub(super) fn new<K: Kind>(
        (name, doc): (&'static str, &'static str),
        effect: Effect,
        make: impl Fn() -> K,
        field: fn(&G) -> &K::Value,
        field_mut: fn(&mut G) -> &mut K::Value,
    ) -> Self {
        let (told, kind) = (make(), make());
        Self {
            name,
            doc: doc.trim().to_owned(),
            kind: told.name(),
            range: told.range(),
            schema: told.schema(),
            effect,
            get: Box::new(move |group| told.write(field(group))),
            set: Box::new(move |group, value| {
                *field_mut(group) = kind.read(value)?;
                Ok(())
            }),
        }
    }
}

/// Settings that are declared together, and stand in one or several sections.
pub(super) trait Group: Sized + 'static {
    /// Its settings, in the order of the reference.
    fn declared() -> Vec<Declared<Self>>;
}

/// A key of the configuration.
pub(super) struct Key {
    /// Name of the section.
    pub(super) section: &'static str,
    /// The setting, of the whole configuration.
    pub(super) setting: Declared<Config>,
}

impl Key {
    /// The key as it is named in messages.
    pub(super) fn path(&self) -> String {
        format!("[{}] {}", self.section, self.setting.name)
    }

    /// The environment variable that sets it.
    pub(super) fn variable(&self) -> String {
        format!("REMOTEMEDIA_{}_{}", self.section, self.setting.name).to_uppercase()
    }
}

/// The settings of a group as settings of something that holds it; `of` and `of_mut` find the group there.
pub(super) fn within<C: 'static, G: Group>(
    of: fn(&C) -> &G,
    of_mut: fn(&mut C) -> &mut G,
) -> impl Iterator<Item = Declared<C>> {
    G::declared().into_iter().map(move |declared| {
        let Declared { name, doc, kind, range, schema, effect, get, set } = declared;
        Declared {
            name,
            doc,
            kind,
            range,
            schema,
            effect,
            get: Box::new(move |all: &C| get(of(all))) as Get<C>,
            set: Box::new(move |all: &mut C, value: &Value| set(of_mut(all), value)) as Set<C>,
        }
    })
}

/// The keys of a section in which a group stands; `of` and `of_mut` find the group in a configuration.
pub(super) fn keys<G: Group>(
    section: &'static str,
    of: fn(&Config) -> &G,
    of_mut: fn(&mut Config) -> &mut G,
) -> impl Iterator<Item = Key> {
    within(of, of_mut).map(move |setting| Key { section, setting })
}

/// Declares a group: for each setting its effect in words, name, type, default, kind with range, and
/// when a change counts.
macro_rules! settings {
    (
        $(#[doc = $about:literal])+
        pub struct $group:ident {
            $(
                $(#[doc = $doc:literal])+
                $name:ident: $type:ty = $default:expr, $kind:expr, $effect:ident;
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $group {
            $(
                $(#[doc = $doc])+
                pub $name: $type,
            )+
        }

        impl Default for $group {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl $crate::config::declare::Group for $group {
            fn declared() -> Vec<$crate::config::declare::Declared<Self>> {
                vec![$(
                    $crate::config::declare::Declared::new(
                        (stringify!($name), concat!($($doc),+)),
                        $crate::config::declare::Effect::$effect,
                        || $kind,
                        |group: &Self| &group.$name,
                        |group: &mut Self| &mut group.$name,
                    ),
                )+]
            }
        }
    };
}

pub(super) use settings;
