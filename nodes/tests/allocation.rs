//! A stream of equal items allocates no memory for samples: outputs use that of earlier ones.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use ipc_protocol::{Array, Audio, Dtype, Order, Value};
use nodes::registry;
use serde_json::json;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the rules of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the rules of `dealloc`.
        unsafe { System.dealloc(place, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn format_conversion_allocates_no_samples_in_a_stream() {
    let samples = 48_000;
    let dtype = Dtype { descr: "<i2".to_owned(), item_bytes: 2 };
    let data = vec![1_u8; 2 * samples].into();
    let samples = Array { dtype, shape: vec![48_000], order: Order::C, scalar: false, data };
    let item = Value::Audio(Audio { samples, sample_rate_hz: 48_000 });
    for target in ["f32", "i24", "u8"] {
        let node_type = registry::builtin().get("FormatConverterNode").unwrap();
        let given = json!({"target_format": target});
        let params = node_type.check_params(given.as_object().unwrap()).unwrap();
        let mut node = (node_type.build)(&params).unwrap();
        let mut run = || node.process(item.clone(), &mut drop).unwrap();
        run();
        let before = ALLOCATED.load(Ordering::Relaxed);
        for _ in 0..100 {
            run();
        }
        let each = (ALLOCATED.load(Ordering::Relaxed) - before) / 100;
        // Shape, name of the dtype and the owner of the memory.
        assert!(each < 500, "{target}: {each} bytes for each item");
    }
}
