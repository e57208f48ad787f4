//! Tests that views stay within their memory, read before they write, and change all elements or
//! none. The Python tests compare their numbers with numpy's by a table of vectors.

use ipc_protocol::{Array, Dtype, Order};

use super::{
    Block, Index, Kind, Number, Operand, Operator, Reduction, Supply, View, ViewError, assign,
    cast, concatenate, fill, mix, peak, rms, scale, set_number, write,
};

/// A view of the numbers 0, 1, 2 and so on.
fn numbers(shape: &[usize], kind: Kind) -> View {
    let mut bytes = Vec::new();
    (0..shape.iter().product()).for_each(|n: usize| {
        Number::Int(n as i128).store(kind, |element| bytes.extend_from_slice(element)).unwrap();
    });
    View::of_numbers(&bytes, shape, kind, &Supply::default()).unwrap()
}

fn floats(view: &View) -> Vec<f64> {
    let mut found = Vec::new();
    view.each_number(|number| found.push(number.real(Kind::F64).unwrap()));
    found
}

/// The elements that a subscript selects.
fn selected(view: &View, subscript: &[Index]) -> Result<View, ViewError> {
    view.get(subscript, &Supply::default())
}

const ALL: Index = Index::ALL;

#[test]
fn parts_are_views_of_the_same_memory() {
    let whole = numbers(&[3, 4], Kind::I16);
    let column = selected(&whole, &[ALL, Index::At(-1)]).unwrap();
    assert_eq!(floats(&column), [3.0, 7.0, 11.0]);
    set_number(&column, &[0], Number::Int(-5)).unwrap();
    assert_eq!(whole.number(&[0, 3]).unwrap(), Number::Int(-5));
    let backwards = Index::Slice { start: None, stop: None, step: -2 };
    assert_eq!(floats(&selected(&whole, &[Index::At(1), backwards]).unwrap()), [7.0, 5.0]);
    let first = selected(&whole, &[Index::Ellipsis, Index::At(0)]).unwrap();
    assert_eq!(first.layout().shape(), [3]);
    let transposed = whole.transpose(&[]).unwrap();
    assert_eq!(floats(&selected(&transposed, &[Index::At(0)]).unwrap()), [0.0, 4.0, 8.0]);
}

#[test]
fn memory_that_runs_out_is_an_error() {
    // More than the address space of any process.
    let shape = [1 << 50];
    let made = View::empty(&shape, Kind::F64, &Supply::default());
    assert!(matches!(made, Err(ViewError::Memory(_))), "{made:?}");
}

#[test]
fn nothing_outside_of_the_memory_is_reached() {
    let whole = numbers(&[3, 4], Kind::F32);
    assert!(matches!(selected(&whole, &[Index::At(3)]), Err(ViewError::Index(_))));
    assert!(matches!(selected(&whole, &[ALL, ALL, ALL]), Err(ViewError::Index(_))));
    assert!(matches!(whole.number(&[0, -5]), Err(ViewError::Index(_))));
    assert!(View::over(Block::zeroed(8).unwrap(), Kind::F64, &[2]).is_err());
    assert!(View::over(Block::zeroed(8).unwrap(), Kind::F64, &[usize::MAX, 2]).is_err());
    // The number of elements wraps around to zero.
    let none = numbers(&[0], Kind::F32);
    let wrapped = none.reshape(&[1 << 32, 1 << 32], &Supply::default());
    assert!(matches!(wrapped, Err(ViewError::Value(_))));
    let lie = Array {
        dtype: Dtype::f32(),
        shape: vec![3],
        order: Order::C,
        scalar: false,
        data: vec![0; 8].into(),
    };
    assert!(matches!(View::of_array(lie.clone()), Err(ViewError::Value(_))));
    let text = Array { dtype: Dtype { descr: "<U3".to_owned(), item_bytes: 12 }, ..lie };
    assert!(matches!(View::of_array(text), Err(ViewError::Unsupported(_))));
}

#[test]
fn a_mask_chooses_along_its_axes() {
    let whole = numbers(&[3, 4], Kind::I16);
    let mask = operated(Operator::Greater, &whole, 9.0).unwrap();
    let column = selected(&mask, &[Index::At(2), ALL]).unwrap().mask().unwrap();
    let found = |parts: &[Index]| selected(&whole, parts).map(|view| floats(&view));
    let (all, second) = (ALL, Index::At(1));
    let over_all = Index::Mask(mask.mask().unwrap());
    assert_eq!(found(std::slice::from_ref(&over_all)).unwrap(), [10.0, 11.0]);
    let both = [all.clone(), Index::Mask(column.clone())];
    assert_eq!(found(&both).unwrap(), [2.0, 3.0, 6.0, 7.0, 10.0, 11.0]);
    assert_eq!(found(&[second.clone(), Index::Mask(column.clone())]).unwrap(), [6.0, 7.0]);
    assert!(matches!(found(&[Index::Mask(column.clone())]), Err(ViewError::Index(_))));
    assert!(matches!(whole.mask(), Err(ViewError::Unsupported(_))));
    let apart = [second, all, Index::Mask(numbers(&[2], Kind::Bool).mask().unwrap())];
    let cube = numbers(&[2, 2, 2], Kind::U8);
    assert!(matches!(selected(&cube, &apart), Err(ViewError::Unsupported(_))));
    assign(&whole, &[over_all], &Operand::Number(Number::Int(-1))).unwrap();
    assert_eq!(floats(&whole)[9..], [9.0, -1.0, -1.0]);
    assign(&whole, &both, &Operand::View(numbers(&[3, 1], Kind::I16))).unwrap();
    assert_eq!(floats(&whole)[2..8], [0.0, 0.0, 4.0, 5.0, 1.0, 1.0]);
}

#[test]
fn views_are_joined_in_the_dtype_of_all() {
    let (shorts, floats_of) = (numbers(&[2, 1], Kind::I16), numbers(&[2, 2], Kind::F32));
    let pieces = [shorts.clone(), floats_of.at_rate(Some(8000))];
    let made = concatenate(&pieces, -1, &Supply::default()).unwrap();
    assert_eq!((made.kind(), made.sample_rate_hz), (Kind::F32, Some(8000)));
    assert_eq!(floats(&made), [0.0, 0.0, 1.0, 1.0, 2.0, 3.0]);
    assert!(matches!(concatenate(&pieces, 0, &Supply::default()), Err(ViewError::Value(_))));
    assert!(matches!(concatenate(&[], 0, &Supply::default()), Err(ViewError::Value(_))));
}

#[test]
fn sums_are_the_same_with_and_without_gaps() {
    let reduced = |view: &View, what: Reduction| {
        let made = what.apply(view, None, false, &Supply::default()).unwrap();
        made.scalar().unwrap().real(Kind::F64).unwrap()
    };
    for kind in [Kind::U8, Kind::I16, Kind::I32, Kind::F32, Kind::F64] {
        let view = numbers(&[5, 20], kind);
        assert_eq!(reduced(&view, Reduction::Sum), 4950.0, "{kind:?}");
        assert_eq!(reduced(&view, Reduction::Mean), 49.5, "{kind:?}");
        assert_eq!(peak(&view).unwrap(), 99.0, "{kind:?}");
        assert!((rms(&view).unwrap() - 3283.5_f64.sqrt()).abs() < 1e-9, "{kind:?}");
        let every_second = Index::Slice { start: None, stop: None, step: 2 };
        let gaps = selected(&view, &[ALL, every_second]).unwrap();
        assert_eq!(reduced(&gaps, Reduction::Sum), 2450.0, "{kind:?}");
        assert_eq!(peak(&gaps).unwrap(), 98.0, "{kind:?}");
    }
}

#[test]
fn mixing_keeps_within_the_range() {
    let (view, supply) = (numbers(&[4], Kind::I16), Supply::default());
    scale(&view, 20_000.0, Some(&view), &supply).unwrap();
    assert_eq!(floats(&view), [0.0, 20_000.0, 32_767.0, 32_767.0]);
    let other = numbers(&[4], Kind::I16);
    mix(&view, &other, -2.0, Some(&other), &supply).unwrap();
    assert_eq!(floats(&other), [0.0, 19_998.0, 32_763.0, 32_761.0]);
    assert!(mix(&view, &numbers(&[5], Kind::I16), 1.0, Some(&view), &supply).is_err());
}

#[test]
fn overlapping_parts_are_read_before_they_are_written() {
    let whole = numbers(&[6], Kind::F32);
    let from = |start| Index::Slice { start: Some(start), stop: Some(start + 4), step: 1 };
    let first = selected(&whole, &[from(0)]).unwrap();
    let second = selected(&whole, &[from(2)]).unwrap();
    write::copy(&first, &second).unwrap();
    assert_eq!(floats(&whole), [0.0, 1.0, 0.0, 1.0, 2.0, 3.0]);
    scale(&first, 10.0, Some(&second), &Supply::default()).unwrap();
    assert_eq!(floats(&whole), [0.0, 1.0, 0.0, 10.0, 0.0, 10.0]);
}

#[test]
fn dtypes_without_arithmetic_are_held_and_passed_on() {
    let halves =
        View::over(Block::copy_of(&[0x66, 0x2e, 0xff, 0x7b]).unwrap(), Kind::F16, &[2]).unwrap();
    assert_eq!(floats(&halves), [0.099_975_585_937_5, 65504.0]);
    let kept = halves.copy(&Supply::default()).unwrap();
    let backwards = Index::Slice { start: None, stop: None, step: -1 };
    write::copy(&selected(&halves, &[backwards]).unwrap(), &kept).unwrap();
    assert_eq!(floats(&kept), [65504.0, 0.099_975_585_937_5]);
    for refused in [
        operated(Operator::Add, &halves, 1.0).map(drop),
        fill(&halves, Number::Float(1.0)),
        cast(&halves, Kind::F32, &Supply::default()).map(drop),
        peak(&halves).map(drop),
    ] {
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("'AudioView'") && message.contains("float16"), "{message}");
    }
    let long = numbers(&[3], Kind::I64);
    let sent = long.to_array(&Supply::default(), |_| unreachable!()).unwrap();
    assert_eq!(View::of_array(sent).unwrap().layout().shape(), [3]);
}

fn operated(operator: Operator, left: &View, right: f64) -> Result<View, ViewError> {
    let operands = (Operand::View(left.clone()), Operand::Number(Number::Float(right)));
    operator.apply(&operands.0, &operands.1, None, &Supply::default())
}

fn in_place(operator: Operator, view: &View, right: &Operand) -> Result<View, ViewError> {
    operator.apply(&view.into(), right, Some(view), &Supply::default())
}

#[test]
fn a_result_without_axes_is_a_scalar_unless_the_subscript_keeps_an_array() {
    let whole = numbers(&[3], Kind::I16);
    let last = Index::At(-1);
    assert_eq!(
        selected(&whole, std::slice::from_ref(&last)).unwrap().scalar(),
        Some(Number::Int(2))
    );
    let array = selected(&whole, &[Index::Ellipsis, last]).unwrap();
    assert_eq!(array.scalar(), None);
    let half = operated(Operator::Multiply, &array, 0.5).unwrap();
    assert_eq!(half.scalar(), Some(Number::Float(1.0)));
    assert_eq!(half.reshape(&[1], &Supply::default()).unwrap().scalar(), None);
}

#[test]
fn an_operator_in_place_changes_all_or_nothing() {
    let whole = numbers(&[10_000], Kind::I16);
    let half = Operand::Number(Number::Float(0.5));
    let refused = in_place(Operator::Multiply, &whole, &half);
    assert!(matches!(refused, Err(ViewError::Type(_))));
    let wider = Operand::View(numbers(&[2, 10_000], Kind::I16));
    assert!(matches!(in_place(Operator::Add, &whole, &wider), Err(ViewError::Value(_))));
    assert_eq!(whole.number(&[9_000]).unwrap(), Number::Int(9_000));
}

#[test]
fn an_operand_in_the_same_memory_is_read_before_it_is_written() {
    let whole = numbers(&[10_000], Kind::F32);
    // A view without axes of the second number.
    let single = selected(&whole, &[Index::At(1)]).unwrap();
    set_number(&whole, &[1], Number::Int(2)).unwrap();
    in_place(Operator::Multiply, &whole, &Operand::View(single)).unwrap();
    assert_eq!(whole.number(&[1]).unwrap(), Number::Float(4.0));
    assert_eq!(whole.number(&[9_999]).unwrap(), Number::Float(19_998.0));
}

#[test]
fn reductions_go_along_any_axes() {
    let cube = numbers(&[2, 3, 4], Kind::I16).transpose(&[2, 0, 1]).unwrap();
    let along = |axes: &[isize]| {
        let made = Reduction::Maximum.apply(&cube, Some(axes), false, &Supply::default()).unwrap();
        (made.layout().shape().to_vec(), floats(&made))
    };
    assert_eq!(along(&[0]), (vec![2, 3], vec![3.0, 7.0, 11.0, 15.0, 19.0, 23.0]));
    assert_eq!(along(&[-1, 1]), (vec![4], vec![20.0, 21.0, 22.0, 23.0]));
    assert_eq!(along(&[0, 2]), (vec![2], vec![11.0, 23.0]));
    let twice = Reduction::Sum.apply(&cube, Some(&[0, 0]), false, &Supply::default());
    assert!(matches!(twice, Err(ViewError::Value(_))));
}
