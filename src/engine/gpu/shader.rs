//! Shaders: WGSL files, composed with constants and common parts into what a driver compiles, and checked.
//!
//! A composed shader is a prelude of `const` lines, then the files that it imports, then the file itself: plain WGSL. The
//! one directive is a line `#import name`, at the top, for `shaders/common/name.wgsl`; common files import nothing.
//! Constants are owned by Rust and handed over in the prelude, so a file has no holes and no number stands twice.

use std::fmt::Write;

/// The kernels by name, one file each.
pub const SHADERS: &[(&str, &str)] = &[
    ("choice_gradient", include_str!("../../../shaders/choice_gradient.wgsl")),
    ("choice_scores", include_str!("../../../shaders/choice_scores.wgsl")),
    ("choice_sums", include_str!("../../../shaders/choice_sums.wgsl")),
    ("gather_rows", include_str!("../../../shaders/gather_rows.wgsl")),
    ("pair_forward", include_str!("../../../shaders/pair_forward.wgsl")),
    ("pair_logits", include_str!("../../../shaders/pair_logits.wgsl")),
    ("select_top_k", include_str!("../../../shaders/select_top_k.wgsl")),
    ("sum_pieces", include_str!("../../../shaders/sum_pieces.wgsl")),
    ("tile_best", include_str!("../../../shaders/tile_best.wgsl")),
    ("tile_scores", include_str!("../../../shaders/tile_scores.wgsl")),
    ("update_head", include_str!("../../../shaders/update_head.wgsl")),
    ("update_rows", include_str!("../../../shaders/update_rows.wgsl")),
];

/// What several kernels import.
pub const COMMON: &[(&str, &str)] = &[
    ("adagrad", include_str!("../../../shaders/common/adagrad.wgsl")),
    ("adam", include_str!("../../../shaders/common/adam.wgsl")),
    ("affinity", include_str!("../../../shaders/common/affinity.wgsl")),
    ("candidate", include_str!("../../../shaders/common/candidate.wgsl")),
    ("catch_up", include_str!("../../../shaders/common/catch_up.wgsl")),
    ("dispatch", include_str!("../../../shaders/common/dispatch.wgsl")),
    ("drawn", include_str!("../../../shaders/common/drawn.wgsl")),
    (
        "gradient_sum",
        include_str!("../../../shaders/common/gradient_sum.wgsl"),
    ),
    ("objective", include_str!("../../../shaders/common/objective.wgsl")),
    ("seen", include_str!("../../../shaders/common/seen.wgsl")),
    ("sgd", include_str!("../../../shaders/common/sgd.wgsl")),
    ("status", include_str!("../../../shaders/common/status.wgsl")),
    (
        "tile_product",
        include_str!("../../../shaders/common/tile_product.wgsl"),
    ),
];

/// A number that Rust owns and shaders use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constant {
    U32(&'static str, u32),
    F32(&'static str, f32),
}

/// The WGSL text of a kernel. Panics on an unknown name: the files are compiled in.
pub fn compose(name: &str, constants: &[Constant]) -> String {
    let mut text = String::new();
    for constant in constants {
        match constant {
            Constant::U32(name, value) => writeln!(text, "const {name}: u32 = {value}u;"),
            // Debug prints the shortest digits that read back as the same number.
            Constant::F32(name, value) => writeln!(text, "const {name}: f32 = {value:?}f;"),
        }
        .expect("writing to a String does not fail");
    }
    let body = find(SHADERS, name);
    for import in body.lines().filter_map(import) {
        text.push_str(find(COMMON, import));
        text.push('\n');
    }
    for line in body.lines().filter(|line| import(line).is_none()) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn import(line: &str) -> Option<&str> {
    line.strip_prefix("#import ").map(str::trim)
}

fn find(files: &[(&'static str, &'static str)], name: &str) -> &'static str {
    let file = files.iter().find(|(known, _)| *known == name);
    file.unwrap_or_else(|| panic!("no shader file is called `{name}`")).1
}

/// Parses and validates WGSL with nothing beyond WebGPU's core; the error is for people, with the place in the text.
pub fn validate(text: &str) -> Result<(naga::Module, naga::valid::ModuleInfo), String> {
    let module = naga::front::wgsl::parse_str(text).map_err(|error| error.emit_to_string(text))?;
    let mut validator =
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty());
    let info = validator
        .validate(&module)
        .map_err(|error| error.emit_to_string(text))?;
    Ok((module, info))
}
