// Update head: the batch's sums in fixed order, then the optimiser's step of scale and bias.
//
//     (loss, d_scale, d_bias, _) = sum over groups of partial
//     scale, bias                = step with clip(d_scale), clip(d_bias);       statistics[statistics_at] = loss
//
// A scale that is held stays as it is, with its state.
// Shapes: partials [partials] vec4; head [2] vec4: (scale, m, v, 0), (bias, m, v, 0), Adagrad's sums in the places of v; statistics [steps of the chunk].
// One workgroup. Runs last: the rows are updated with the old scale.
// Partner src/engine/gpu/update_head.rs, twin src/core/engine/cpu/update_head.rs.

#import adam
#import adagrad
#import sgd

struct Params {
    partials: u32,
    statistics_at: u32,
    step_size: f32,
    clip: f32,
    holds_scale: u32,
}

@group(0) @binding(0) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> head: array<vec4<f32>, 2>;
@group(0) @binding(2) var<storage, read_write> statistics: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> sums: array<vec4<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) thread: u32) {
    var sum = vec4<f32>(0.0);
    for (var at = thread; at < params.partials; at += WORKGROUP) {
        sum += partials[at];
    }
    sums[thread] = sum;
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        if (thread < width) {
            sums[thread] += sums[thread + width];
        }
        workgroupBarrier();
    }
    if (thread == 0u) {
        let gradients = clamp(vec4<f32>(sums[0].y, sums[0].z, 0.0, 0.0), vec4<f32>(-params.clip), vec4<f32>(params.clip));
        var m = vec4<f32>(head[0].y, head[1].y, 0.0, 0.0);
        var v = vec4<f32>(head[0].z, head[1].z, 0.0, 0.0);
        var after = vec4<f32>(head[0].x, head[1].x, 0.0, 0.0);
        if (OPTIMIZER == SGD) {
            after = sgd_step(after, gradients, params.step_size);
        } else if (OPTIMIZER == ADAGRAD) {
            after = adagrad_step(after, &v, gradients, params.step_size);
        } else {
            after = adam_step(after, &m, &v, gradients, params.step_size);
        }
        if (params.holds_scale == 0u) {
            head[0] = vec4<f32>(after.x, m.x, v.x, 0.0);
        }
        head[1] = vec4<f32>(after.y, m.y, v.y, 0.0);
        statistics[params.statistics_at] = sums[0].x;
    }
}
