//! Tests that views stay within their memory, read before they write, and change all elements or
//! none. The Python tests compare their numbers with numpy's by a table of vectors.

use ipc_protocol::{Array, Dtype, Order};

use super::{
    Along, Block, Found, Index, Kind, Number, Operand, Operator, Reduction, Supply, View, ViewError,
};

/// A view of the numbers 0, 1, 2 and so on.
fn numbers(shape: &[usize], kind: Kind) -> View {
    let mut bytes = Vec::new();
    (0..shape.iter().product()).for_each(|n: usize| {
        kind.push(&mut bytes, Number::Int(n as i128)).unwrap();
    });
    Supply::default().view_of(&bytes, shape, kind).unwrap()
}

fn floats(view: &View) -> Vec<f64> {
    let mut found = Vec::new();
    view.each_number(|number| found.push(number.real(Kind::F64).unwrap()));
    found
}

const ALL: Index = Index::ALL;

#[test]
fn parts_are_views_of_the_same_memory() {
    let whole = numbers(&[3, 4], Kind::I16);
    let column = whole.select(&[ALL, Index::At(-1)]).unwrap();
    assert_eq!(floats(&column), [3.0, 7.0, 11.0]);
    column.set_number(&[0], Number::Int(-5)).unwrap();
    assert_eq!(whole.number(&[0, 3]).unwrap(), Number::Int(-5));
    let backwards = Index::Slice { start: None, stop: None, step: -2 };
    assert_eq!(floats(&whole.select(&[Index::At(1), backwards]).unwrap()), [7.0, 5.0]);
    assert_eq!(whole.select(&[Index::Ellipsis, Index::At(0)]).unwrap().shape(), [3]);
    assert_eq!(
        floats(&whole.transpose(&[]).unwrap().select(&[Index::At(0)]).unwrap()),
        [0.0, 4.0, 8.0]
    );
}

#[test]
fn memory_that_runs_out_is_an_error() {
    // More than the address space of any process.
    let shape = [1 << 50];
    let made = Supply::default().view(&shape, Kind::F64);
    assert!(matches!(made, Err(ViewError::Memory(_))), "{made:?}");
}

#[test]
fn nothing_outside_of_the_memory_is_reached() {
    let whole = numbers(&[3, 4], Kind::F32);
    assert!(matches!(whole.select(&[Index::At(3)]), Err(ViewError::Index(_))));
    assert!(matches!(whole.select(&[ALL, ALL, ALL]), Err(ViewError::Index(_))));
    assert!(matches!(whole.number(&[0, -5]), Err(ViewError::Index(_))));
    assert!(View::over(Block::zeroed(8).unwrap(), Kind::F64, &[2]).is_err());
    assert!(View::over(Block::zeroed(8).unwrap(), Kind::F64, &[usize::MAX, 2]).is_err());
    assert!(whole.relaid(Kind::F32, &[(13, 4)], 0).is_err());
    assert!(whole.relaid(Kind::F32, &[(2, -4)], 0).is_err());
    assert!(whole.relaid(Kind::F32, &[(12, -4)], 44).is_ok());
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
    let private = Supply::default();
    let whole = numbers(&[3, 4], Kind::I16);
    let mask = operated(Operator::Greater, &whole, 9.0).unwrap();
    let column = mask.select(&[Index::At(2), ALL]).unwrap();
    let found = |parts: &[Index]| match whole.get(parts, &private)? {
        Found::View(found) => Ok(floats(&found)),
        Found::Number(number) => panic!("{number:?} instead of a view"),
    };
    let (all, second) = (ALL, Index::At(1));
    assert_eq!(found(&[Index::Mask(mask.clone())]).unwrap(), [10.0, 11.0]);
    let both = [all.clone(), Index::Mask(column.clone())];
    assert_eq!(found(&both).unwrap(), [2.0, 3.0, 6.0, 7.0, 10.0, 11.0]);
    assert_eq!(found(&[second.clone(), Index::Mask(column.clone())]).unwrap(), [6.0, 7.0]);
    assert!(matches!(found(&[Index::Mask(column.clone())]), Err(ViewError::Index(_))));
    assert!(matches!(found(&[Index::Mask(whole.clone())]), Err(ViewError::Unsupported(_))));
    let apart = [second, all, Index::Mask(numbers(&[2], Kind::Bool))];
    assert!(matches!(
        numbers(&[2, 2, 2], Kind::U8).get(&apart, &private),
        Err(ViewError::Unsupported(_))
    ));
    whole.set(&[Index::Mask(mask)], &Operand::Number(Number::Int(-1))).unwrap();
    assert_eq!(floats(&whole)[9..], [9.0, -1.0, -1.0]);
    whole.set(&both, &Operand::View(numbers(&[3, 1], Kind::I16))).unwrap();
    assert_eq!(floats(&whole)[2..8], [0.0, 0.0, 4.0, 5.0, 1.0, 1.0]);
}

#[test]
fn views_are_joined_in_the_dtype_of_all() {
    let (shorts, floats_of) = (numbers(&[2, 1], Kind::I16), numbers(&[2, 2], Kind::F32));
    let pieces = [shorts.clone(), floats_of.at_rate(Some(8000))];
    let made = View::joined(&pieces, -1, &Supply::default()).unwrap();
    assert_eq!((made.kind(), made.sample_rate_hz), (Kind::F32, Some(8000)));
    assert_eq!(floats(&made), [0.0, 0.0, 1.0, 1.0, 2.0, 3.0]);
    assert!(matches!(View::joined(&pieces, 0, &Supply::default()), Err(ViewError::Value(_))));
    assert!(matches!(View::joined(&[], 0, &Supply::default()), Err(ViewError::Value(_))));
}

#[test]
fn sums_are_the_same_with_and_without_gaps() {
    let reduced =
        |view: &View, what| match view.reduced(what, &Along::default(), &Supply::default()) {
            Ok(Found::Number(number)) => number.real(Kind::F64).unwrap(),
            other => panic!("{other:?} instead of a number"),
        };
    for kind in [Kind::U8, Kind::I16, Kind::I32, Kind::F32, Kind::F64] {
        let view = numbers(&[5, 20], kind);
        assert_eq!(reduced(&view, Reduction::Sum), 4950.0, "{kind:?}");
        assert_eq!(reduced(&view, Reduction::Mean), 49.5, "{kind:?}");
        assert_eq!(view.peak().unwrap(), 99.0, "{kind:?}");
        assert!((view.rms().unwrap() - 3283.5_f64.sqrt()).abs() < 1e-9, "{kind:?}");
        let gaps = view.select(&[ALL, Index::Slice { start: None, stop: None, step: 2 }]).unwrap();
        assert_eq!(reduced(&gaps, Reduction::Sum), 2450.0, "{kind:?}");
        assert_eq!(gaps.peak().unwrap(), 98.0, "{kind:?}");
    }
}

#[test]
fn mixing_keeps_within_the_range() {
    let view = numbers(&[4], Kind::I16);
    view.scale_into(20_000.0, &view).unwrap();
    assert_eq!(floats(&view), [0.0, 20_000.0, 32_767.0, 32_767.0]);
    let other = numbers(&[4], Kind::I16);
    view.mix_into(&other, -2.0, &other).unwrap();
    assert_eq!(floats(&other), [0.0, 19_998.0, 32_763.0, 32_761.0]);
    assert!(view.mix_into(&numbers(&[5], Kind::I16), 1.0, &view).is_err());
}

#[test]
fn overlapping_parts_are_read_before_they_are_written() {
    let whole = numbers(&[6], Kind::F32);
    let from = |start| Index::Slice { start: Some(start), stop: Some(start + 4), step: 1 };
    let (first, second) = (whole.select(&[from(0)]).unwrap(), whole.select(&[from(2)]).unwrap());
    second.copy_from(&first).unwrap();
    assert_eq!(floats(&whole), [0.0, 1.0, 0.0, 1.0, 2.0, 3.0]);
    first.scale_into(10.0, &second).unwrap();
    assert_eq!(floats(&whole), [0.0, 1.0, 0.0, 10.0, 0.0, 10.0]);
}

#[test]
fn dtypes_without_arithmetic_are_held_and_passed_on() {
    let halves =
        View::over(Block::copy_of(&[0x66, 0x2e, 0xff, 0x7b]).unwrap(), Kind::F16, &[2]).unwrap();
    assert_eq!(floats(&halves), [0.099_975_585_937_5, 65504.0]);
    let kept = halves.copy(&Supply::default()).unwrap();
    kept.copy_from(&halves.select(&[Index::Slice { start: None, stop: None, step: -1 }]).unwrap())
        .unwrap();
    assert_eq!(floats(&kept), [65504.0, 0.099_975_585_937_5]);
    for refused in [
        operated(Operator::Add, &halves, 1.0).map(drop),
        halves.fill(Number::Float(1.0)),
        halves.cast(Kind::F32, &Supply::default()).map(drop),
        halves.peak().map(drop),
    ] {
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("'AudioView'") && message.contains("float16"), "{message}");
    }
    let long = numbers(&[3], Kind::I64);
    assert_eq!(
        View::of_array(long.to_array(&Supply::default(), |_| unreachable!()).unwrap())
            .unwrap()
            .shape(),
        [3]
    );
}

fn operated(operator: Operator, left: &View, right: f64) -> Result<View, ViewError> {
    let operands = (Operand::View(left.clone()), Operand::Number(Number::Float(right)));
    operator.apply(&operands.0, &operands.1, &Supply::default())
}

#[test]
fn an_operator_in_place_changes_all_or_nothing() {
    let whole = numbers(&[10_000], Kind::I16);
    let half = Operand::Number(Number::Float(0.5));
    let refused = Operator::Multiply.apply_in_place(&whole, &half);
    assert!(matches!(refused, Err(ViewError::Type(_))));
    let wider = Operand::View(numbers(&[2, 10_000], Kind::I16));
    assert!(matches!(Operator::Add.apply_in_place(&whole, &wider), Err(ViewError::Value(_))));
    assert_eq!(whole.number(&[9_000]).unwrap(), Number::Int(9_000));
}

#[test]
fn an_operand_in_the_same_memory_is_read_before_it_is_written() {
    let whole = numbers(&[10_000], Kind::F32);
    // A view without axes of the second number.
    let single = whole.select(&[Index::At(1)]).unwrap();
    whole.set_number(&[1], Number::Int(2)).unwrap();
    Operator::Multiply.apply_in_place(&whole, &Operand::View(single)).unwrap();
    assert_eq!(whole.number(&[1]).unwrap(), Number::Float(4.0));
    assert_eq!(whole.number(&[9_999]).unwrap(), Number::Float(19_998.0));
}

#[test]
fn reductions_go_along_any_axes() {
    let cube = numbers(&[2, 3, 4], Kind::I16).transpose(&[2, 0, 1]).unwrap();
    let along = |axes: &[isize]| {
        let along = Along { axes: Some(axes.to_vec()), is_kept: false };
        match cube.reduced(Reduction::Maximum, &along, &Supply::default()) {
            Ok(Found::View(made)) => (made.shape().to_vec(), floats(&made)),
            other => panic!("{other:?} instead of a view"),
        }
    };
    assert_eq!(along(&[0]), (vec![2, 3], vec![3.0, 7.0, 11.0, 15.0, 19.0, 23.0]));
    assert_eq!(along(&[-1, 1]), (vec![4], vec![20.0, 21.0, 22.0, 23.0]));
    assert_eq!(along(&[0, 2]), (vec![2], vec![11.0, 23.0]));
    let none = Along { axes: Some(vec![0, 0]), is_kept: false };
    let refused = cube.reduced(Reduction::Sum, &none, &Supply::default());
    assert!(matches!(refused, Err(ViewError::Value(_))));
}
