//! Shaders without a device: they compose, they are valid, and they agree with their launchers.

use crate::support::both_teams;
use dotcart::config::{ChoiceLoss, OptimizerChoice};
use dotcart::engine::gpu::device::AdapterKind;
use dotcart::engine::gpu::launch::{Binding, KernelSpec};
use dotcart::engine::gpu::shader::{COMMON, Constant, Shader, compose, validate};
use dotcart::engine::gpu::teams::Teams;
use dotcart::engine::gpu::{SPECS, choice_constants, score_constants, sum_constants, training_constants};
use dotcart::engine::model::Side;
use naga::{AddressSpace, Module, ShaderStage, StorageAccess, TypeInner, back, valid::ModuleInfo};
use std::collections::BTreeSet;
use std::path::Path;

const DIMS: [usize; 8] = [4, 8, 16, 32, 64, 100, 128, 512];

/// WebGPU's guaranteed workgroup memory; more would do on most adapters, but no kernel needs it.
const WORKGROUP_BYTES: u32 = 16_384;

fn for_each_prelude(check: impl Fn(&KernelSpec, &[Constant], &Module, &ModuleInfo)) {
    for spec in SPECS {
        for (teams, optimizer) in DIMS
            .into_iter()
            .flat_map(both_teams)
            .flat_map(|teams| OptimizerChoice::all().map(move |optimizer| (teams, optimizer)))
        {
            let constants = prelude(spec, teams, optimizer);
            let (module, info) = validate(&compose(&spec.shader, &constants))
                .unwrap_or_else(|error| panic!("{}, {teams:?}, {optimizer:?}: {error}", spec.shader.name));
            check(spec, &constants, &module, &info);
        }
    }
}

/// What the launcher of a kernel puts before it.
fn prelude(spec: &KernelSpec, teams: Teams, optimizer: OptimizerChoice) -> Vec<Constant> {
    // Each form of a kernel that knows no optimiser stands in for some.
    let (loss, side, kind) = match optimizer {
        OptimizerChoice::Adam => (ChoiceLoss::Softmax, Side::User, AdapterKind::Discrete),
        OptimizerChoice::LazyAdam => (ChoiceLoss::Softmax, Side::Item, AdapterKind::Software),
        OptimizerChoice::Adagrad => (ChoiceLoss::Bpr, Side::User, AdapterKind::Software),
        OptimizerChoice::Sgd => (ChoiceLoss::Bce, Side::Item, AdapterKind::Discrete),
    };
    match spec.shader.name {
        "choice_gradient" => choice_constants(teams, loss),
        "choice_scores" => score_constants(kind, loss, teams.dim()),
        "choice_sums" => sum_constants(kind, side),
        _ => training_constants(teams, optimizer),
    }
}

fn for_each_module(check: impl Fn(&KernelSpec, &Module, &ModuleInfo)) {
    for_each_prelude(|spec, _, module, info| check(spec, module, info));
}

#[test]
fn a_kernel_is_another_only_by_what_it_names() {
    let texts = |name: &str| -> BTreeSet<String> {
        let spec = SPECS.iter().find(|spec| spec.shader.name == name).unwrap();
        let teams = DIMS.map(|dim| Teams::new(AdapterKind::Discrete, dim));
        teams
            .map(|teams| compose(&spec.shader, &prelude(spec, teams, OptimizerChoice::Adam)))
            .into()
    };
    for name in ["choice_sums", "select_top_k", "update_head"] {
        assert_eq!(texts(name).len(), 1, "{name} is compiled for every width");
    }
    assert_eq!(texts("gather_rows").len(), DIMS.len());
    // A comment names nothing.
    let shader = Shader::new("none", "// A\nfn f() -> u32 { return B; } // C\n");
    let constants = ["A", "B", "C"].map(|name| Constant::U32(name, 1));
    let text = compose(&shader, &constants);
    assert_eq!(text.lines().next(), Some("const B: u32 = 1u;"));
    assert_eq!(text.matches("const ").count(), 1, "{text}");
}

#[test]
fn files_kernels_partners_and_twins_are_the_same_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let stems = |folder: &str| {
        let mut stems: Vec<_> = std::fs::read_dir(root.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "wgsl"))
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        stems.sort();
        stems
    };
    assert_eq!(
        stems("shaders/common"),
        COMMON.iter().map(|(name, _)| *name).collect::<Vec<_>>()
    );
    assert_eq!(stems("shaders"), SPECS.map(|spec| spec.shader.name));
    for spec in SPECS {
        for engine in ["engine/gpu", "core/engine/cpu"] {
            let partner = format!("src/{engine}/{}.rs", spec.shader.name);
            let text =
                std::fs::read_to_string(root.join(&partner)).unwrap_or_else(|error| panic!("{partner}: {error}"));
            let shader = format!("shaders/{}.wgsl", spec.shader.name);
            assert!(text.contains(&shader), "{partner} does not name `{shader}`");
        }
    }
}

#[test]
fn each_has_one_entry_point_called_main_with_the_declared_workgroup() {
    for_each_prelude(|spec, constants, module, _| {
        let [entry] = &module.entry_points[..] else {
            panic!("{}: {} entry points", spec.shader.name, module.entry_points.len());
        };
        assert_eq!((entry.name.as_str(), entry.stage), ("main", ShaderStage::Compute));
        assert_eq!(
            entry.workgroup_size,
            [spec.threads(constants), 1, 1],
            "{}",
            spec.shader.name
        );
    });
}

#[test]
fn bindings_are_the_launchers() {
    for_each_module(|spec, module, info| {
        assert!(
            spec.bindings.len() <= 8,
            "{}: more buffers than WebGPU grants",
            spec.shader.name
        );
        let entry = info.get_entry_point(0);
        let mut found: Vec<_> = module
            .global_variables
            .iter()
            .filter_map(|(handle, variable)| Some((variable.binding?, handle, variable)))
            .collect();
        found.sort_by_key(|(binding, ..)| binding.binding);
        let (_, _, params) = found.pop().expect("there are parameters");
        assert_eq!(
            params.space,
            AddressSpace::Uniform,
            "{}: the last binding",
            spec.shader.name
        );
        assert_eq!(params.name.as_deref(), Some("params"));
        let storage: Vec<_> = found
            .iter()
            .enumerate()
            .map(|(number, (binding, handle, variable))| {
                assert_eq!(
                    (binding.group, binding.binding),
                    (0, number as u32),
                    "{}",
                    spec.shader.name
                );
                // The pipeline's layout is made from what is used; a buffer too many would not fit it.
                assert!(
                    !entry[*handle].is_empty(),
                    "{}: {:?} is not used",
                    spec.shader.name,
                    variable.name
                );
                let AddressSpace::Storage { access } = variable.space else {
                    panic!("{}: {:?} is no storage buffer", spec.shader.name, variable.name);
                };
                (
                    variable.name.clone().unwrap_or_default(),
                    access.contains(StorageAccess::STORE),
                )
            })
            .collect();
        let declared = |binding: &Binding| (binding.name.to_owned(), binding.writable);
        assert_eq!(
            storage,
            spec.bindings.iter().map(declared).collect::<Vec<_>>(),
            "{}",
            spec.shader.name
        );
    });
}

#[test]
fn params_have_one_layout() {
    for_each_module(|spec, module, _| {
        let (_, params) = module
            .types
            .iter()
            .find(|(_, kind)| kind.name.as_deref() == Some("Params"))
            .unwrap_or_else(|| panic!("{}: no struct `Params`", spec.shader.name));
        let TypeInner::Struct { members, span } = &params.inner else {
            panic!("{}: `Params` is no struct", spec.shader.name);
        };
        let members: Vec<_> = members
            .iter()
            .map(|member| (member.name.as_deref().unwrap_or_default(), member.offset as usize))
            .collect();
        assert_eq!(members, spec.params.fields, "{}", spec.shader.name);
        assert_eq!(
            *span as usize, spec.params.size,
            "{}: size of `Params`",
            spec.shader.name
        );
    });
}

#[test]
fn no_float_atomics_and_little_workgroup_memory() {
    for_each_module(|spec, module, _| {
        for (_, kind) in module.types.iter() {
            if let TypeInner::Atomic(scalar) = kind.inner {
                assert_eq!(
                    scalar,
                    naga::Scalar::U32,
                    "{}: sums are in fixed order",
                    spec.shader.name
                );
            }
        }
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).unwrap();
        let workgroup = module
            .global_variables
            .iter()
            .filter(|(_, variable)| variable.space == AddressSpace::WorkGroup);
        let bytes: u32 = workgroup.map(|(_, variable)| layouter[variable.ty].size).sum();
        assert!(
            bytes <= WORKGROUP_BYTES,
            "{}: {bytes} bytes of workgroup memory",
            spec.shader.name
        );
    });
}

#[test]
fn every_driver_language_can_be_written() {
    for_each_module(|spec, module, info| {
        let name = spec.shader.name;
        let words = back::spv::write_vec(module, info, &back::spv::Options::default(), None);
        assert!(
            !words
                .unwrap_or_else(|error| panic!("{name}, SPIR-V: {error}"))
                .is_empty()
        );
        let metal = back::msl::Options {
            lang_version: (2, 4),
            fake_missing_bindings: true,
            ..Default::default()
        };
        back::msl::write_string(module, info, &metal, &back::msl::PipelineOptions::default())
            .unwrap_or_else(|error| panic!("{name}, Metal: {error}"));
        let direct3d = back::hlsl::Options {
            shader_model: back::hlsl::ShaderModel::V6_0,
            fake_missing_bindings: true,
            // Where wgpu puts the number of workgroups, which Direct3D does not tell a shader.
            special_constants_binding: Some(back::hlsl::BindTarget::default()),
            ..Default::default()
        };
        let mut text = String::new();
        let options = back::hlsl::PipelineOptions::default();
        back::hlsl::Writer::new(&mut text, &direct3d, &options)
            .write(module, info, None)
            .unwrap_or_else(|error| panic!("{name}, Direct3D: {error}"));
    });
}
