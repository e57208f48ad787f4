//! Where the results of element-wise operations go: to a new view, or to an existing one.

use ipc_protocol::Order;

use super::layout::{common_shape, shape_text};
use super::loops::Numbers;
use super::{Kind, Layout, Supply, View, ViewError, write};

/// Elements that are computed at a time before they are written to an existing view: few enough to
/// stay in the cache.
const PART: usize = 4096;

/// Calls `work` with the numbers of both sources, broadcast to one shape, and with the bytes of the
/// results in C order, which are of dtype `kind`. Writes the results to `out` or to a new view, and
/// returns that view. Whether `work` fails may depend on dtypes only: then `out` is changed as a whole
/// or not at all.
pub(super) fn evaluate(
    sources: [&View; 2],
    kind: Kind,
    out: Option<&View>,
    supply: &Supply,
    work: impl Fn([Numbers; 2], &mut [u8]) -> Result<(), ViewError>,
) -> Result<View, ViewError> {
    let [one, other] = sources.map(View::layout);
    let shape = common_shape(one.shape(), other.shape())?;
    let run = |[left, right]: [&Layout; 2], target: &mut [u8]| {
        let [one, other] = sources.map(View::numbers);
        work([Numbers { layout: left, ..one }, Numbers { layout: right, ..other }], target)
    };
    let whole = |supply: &Supply| {
        let made = View::for_result(&shape, kind, sources, supply)?;
        let both = [&one.stretched(&shape)?, &other.stretched(&shape)?];
        run(both, made.block().as_mut_slice())?;
        Ok(made)
    };
    let Some(out) = out else { return whole(supply) };
    write::check_writable(out)?;
    same_shape(&shape, out.layout().shape())?;
    if !can_be_parted(out, sources) {
        write::copy(&whole(&Supply::default())?, out)?;
        return Ok(out.clone());
    }
    let length = out.layout().len();
    let made = View::empty(&[length.min(PART)], kind, &Supply::default())?;
    for start in (0..length).step_by(PART) {
        let count = PART.min(length - start);
        let target = &mut made.block().as_mut_slice()[..count * kind.bytes()];
        run([&one.part(start, count), &other.part(start, count)], target)?;
        let made = made.with_layout(made.layout().part(0, count));
        write::copy(&made, &out.with_layout(out.layout().part(start, count)))?;
    }
    Ok(out.clone())
}

/// Whether results may be written part by part: no part overwrites elements of a source that a later
/// part needs.
fn can_be_parted(out: &View, sources: [&View; 2]) -> bool {
    let is_dense = |view: &View| view.layout().order() == Some(Order::C);
    let is_same = |view: &View| view.layout() == out.layout() && view.kind() == out.kind();
    let suits = |view: &View| {
        let shape = view.layout().shape();
        let is_apart = !std::ptr::eq(out.block(), view.block()) || is_same(view);
        is_apart && (shape.is_empty() || (shape == out.layout().shape() && is_dense(view)))
    };
    is_dense(out) && sources.into_iter().all(suits)
}

/// Checks that two shapes are the same.
pub(super) fn same_shape(one: &[usize], other: &[usize]) -> Result<(), ViewError> {
    if one == other {
        return Ok(());
    }
    let (one, other) = (shape_text(one), shape_text(other));
    Err(ViewError::Value(format!("shapes {one} and {other} differ")))
}
