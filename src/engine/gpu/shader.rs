//! Shaders: WGSL files, composed with constants and common parts into what a driver compiles, and checked.
//!
//! A composed shader is a prelude of `const` lines, then the files that it imports, then the file itself: plain WGSL. The
//! one directive is a line `#import name`, at the top, for `shaders/common/name.wgsl`; common files import nothing.
//! Constants are owned by Rust and handed over in the prelude, so a file has no holes and no number stands twice.

use std::collections::HashSet;
use std::fmt::Write;

/// A kernel's file.
#[derive(Clone, Copy, Debug)]
pub struct Shader {
    /// Stem of the file.
    pub name: &'static str,
    text: &'static str,
}

impl Shader {
    /// What the macro `shader` makes.
    pub const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text }
    }
}

/// The shader of a name. It does not compile where the file or its twin in `engine::cpu` is missing.
macro_rules! shader {
    ($name:ident) => {{
        #[expect(unused_imports, reason = "it has to be there, no more")]
        use $crate::engine::cpu::$name as _;
        $crate::engine::gpu::shader::Shader::new(
            stringify!($name),
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/shaders/",
                stringify!($name),
                ".wgsl"
            )),
        )
    }};
}
pub(crate) use shader;

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

impl Constant {
    fn name(self) -> &'static str {
        match self {
            Self::U32(name, _) | Self::F32(name, _) => name,
        }
    }
}

/// The WGSL text of a kernel, with those constants that it names: kernels that differ in nothing else are one, and compiled
/// once. Panics on an import that is not in [`COMMON`].
pub fn compose(shader: &Shader, constants: &[Constant]) -> String {
    let mut body = String::new();
    for import in shader.text.lines().filter_map(import) {
        let common = COMMON.iter().find(|(known, _)| *known == import);
        body.push_str(
            common
                .unwrap_or_else(|| panic!("no shader file is called `{import}`"))
                .1,
        );
        body.push('\n');
    }
    for line in shader.text.lines().filter(|line| import(line).is_none()) {
        body.push_str(line);
        body.push('\n');
    }
    let named = names(&body);
    let mut text = String::new();
    for constant in constants.iter().filter(|constant| named.contains(constant.name())) {
        match constant {
            Constant::U32(name, value) => writeln!(text, "const {name}: u32 = {value}u;"),
            // Debug prints the shortest digits that read back as the same number.
            Constant::F32(name, value) => writeln!(text, "const {name}: f32 = {value:?}f;"),
        }
        .expect("writing to a String does not fail");
    }
    text + &body
}

/// All words of a shader but those of its comments.
fn names(text: &str) -> HashSet<&str> {
    let code = text.lines().filter_map(|line| line.split("//").next());
    code.flat_map(|line| line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'))
        .collect()
}

fn import(line: &str) -> Option<&str> {
    line.strip_prefix("#import ").map(str::trim)
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
