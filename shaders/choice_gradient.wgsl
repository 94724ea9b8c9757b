// Choice gradient: from the scores of a user to the loss and the gradients of their choices.
//
//     loss, slopes   = of the choice loss, see src/core/engine/choice.rs                    b: the user's samples
//     gradient[b]    = scale choice[b] * d loss[b] / d appeal[b]                       scale: the loss's share / samples
//     scores[u, j]  := scale * sum over b of choice[b] * d loss[b] / d scores[u, j]
//     partial[group] = (sum over the users of the group of choice[b] loss[b] / samples, 0, 0, 0)
//
// Shapes: starts [users + 1], choices [samples], draw offsets [draws] in `plan`, which softmax does
// not need, since the scores have them; appeals [samples], from `pair_logits`; scores
// [users, ceil(draws / 4)] vec4, from `choice_scores`: what fills up a last four becomes 0; gradient [samples];
// partials [ceil(users / TEAMS)] vec4. A team of LANES threads takes a user, a lane every LANES-th four and sample.
// Partner src/engine/gpu/choice_gradient.rs, twin src/core/engine/cpu/choice_gradient.rs, which finds the appeals as well.

#import dispatch
#import status

struct Params {
    users: u32,
    draws: u32,
    samples: u32,
    starts_at: u32,
    choices_at: u32,
    draw_offsets_at: u32,
    scale: f32,
    each: f32,
}

@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> appeals: array<f32>;
@group(0) @binding(2) var<storage, read_write> scores: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> partials: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> status: atomic<u32>;
@group(0) @binding(6) var<uniform> params: Params;

// Its exponential is the least normal number, nearly.
const LEAST_EXPONENT: f32 = -87.0;

var<workgroup> lane_values: array<f32, TEAM_THREADS>;

// A user's samples, and where its fours of scores begin; none where there is no user.
struct User {
    begin: u32,
    end: u32,
    first: u32,
    fours: u32,
}

fn find_user(number: u32) -> User {
    if (number >= params.users) {
        return User(0u, 0u, 0u, 0u);
    }
    let begin = plan[params.starts_at + number];
    let end = plan[params.starts_at + number + 1u];
    if (!(begin <= end && end <= params.samples)) {
        report(STATUS_BAD_SAMPLE);
        return User(0u, 0u, 0u, 0u);
    }
    let fours = (params.draws + 3u) / 4u;
    return User(begin, end, number * fours, fours);
}

// The sum of what the lanes of a team have, in order. All threads of a workgroup call it.
fn team_sum(value: f32, thread: u32) -> f32 {
    if (LANES == 1u) {
        return value;
    }
    lane_values[thread] = value;
    workgroupBarrier();
    let first = thread - thread % LANES;
    var sum = 0.0;
    for (var lane = 0u; lane < LANES; lane++) {
        sum += lane_values[first + lane];
    }
    workgroupBarrier();
    return sum;
}

// The largest of what the lanes of a team have. All threads of a workgroup call it.
fn team_max(value: f32, thread: u32) -> f32 {
    if (LANES == 1u) {
        return value;
    }
    lane_values[thread] = value;
    workgroupBarrier();
    let first = thread - thread % LANES;
    var most = value;
    for (var lane = 0u; lane < LANES; lane++) {
        most = max(most, lane_values[first + lane]);
    }
    workgroupBarrier();
    return most;
}

fn is_drawn(four: u32) -> vec4<bool> {
    return vec4<u32>(4u * four) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.draws);
}

fn offset(number: u32) -> f32 {
    return bitcast<f32>(plan[params.draw_offsets_at + min(number, params.draws - 1u)]);
}

fn offsets(four: u32) -> vec4<f32> {
    let first = 4u * four;
    return vec4<f32>(offset(first), offset(first + 1u), offset(first + 2u), offset(first + 3u));
}

// The offsets of what was drawn, and 0 for what fills up.
fn shares(four: u32) -> vec4<f32> {
    return select(vec4<f32>(0.0), offsets(four), is_drawn(four));
}

fn choice(sample: u32) -> f32 {
    return bitcast<f32>(plan[params.choices_at + sample]);
}

fn add_up(four: vec4<f32>) -> f32 {
    return (four.x + four.y) + (four.z + four.w);
}

fn sigmoids(x: vec4<f32>) -> vec4<f32> {
    let small = bounded_exp(-abs(x));
    return select(small, vec4<f32>(1.0), x >= vec4<f32>(0.0)) / (vec4<f32>(1.0) + small);
}

// ln(1 + exp(x))
fn softplus(x: vec4<f32>) -> vec4<f32> {
    return max(x, vec4<f32>(0.0)) + log(vec4<f32>(1.0) + bounded_exp(-abs(x)));
}

// exp, bounded below as in the twin: drivers differ in what they make of numbers that are too small for it.
fn bounded_exp(x: vec4<f32>) -> vec4<f32> {
    return exp(max(x, vec4<f32>(LEAST_EXPONENT)));
}

// The samples of a user have in common all but the term of what they chose.
fn softmax(user: User, lane: u32, thread: u32) -> f32 {
    var mosts = vec4<f32>(FILLER);
    for (var four = lane; four < user.fours; four += LANES) {
        mosts = max(mosts, scores[user.first + four]);
    }
    var most = max(max(mosts.x, mosts.y), max(mosts.z, mosts.w));
    for (var sample = user.begin + lane; sample < user.end; sample += LANES) {
        most = max(most, appeals[sample]);
    }
    most = team_max(most, thread);

    var sums = vec4<f32>(0.0);
    for (var four = lane; four < user.fours; four += LANES) {
        sums += bounded_exp(scores[user.first + four] - most);
    }
    let sum = team_sum(add_up(sums), thread);

    var loss = 0.0;
    var pulled = 0.0;
    for (var sample = user.begin + lane; sample < user.end; sample += LANES) {
        let weight = choice(sample);
        let own = exp(max(appeals[sample] - most, LEAST_EXPONENT));
        let all = sum + own;
        loss += weight * (log(all) + (most - appeals[sample]));
        pulled += weight / all;
        gradient[sample] = params.scale * weight * (own / all - 1.0);
    }
    let factor = params.scale * team_sum(pulled, thread);
    for (var four = lane; four < user.fours; four += LANES) {
        scores[user.first + four] = factor * bounded_exp(scores[user.first + four] - most);
    }
    return loss;
}

fn bpr(user: User, lane: u32) -> f32 {
    var loss = 0.0;
    for (var sample = user.begin + lane; sample < user.end; sample += LANES) {
        var losses = vec4<f32>(0.0);
        var pulls = vec4<f32>(0.0);
        for (var four = 0u; four < user.fours; four++) {
            let behind = scores[user.first + four] - appeals[sample];
            losses += shares(four) * softplus(behind);
            pulls += shares(four) * sigmoids(behind);
        }
        loss += choice(sample) * add_up(losses);
        gradient[sample] = -params.scale * choice(sample) * add_up(pulls);
    }
    if (LANES > 1u) {
        // Until here every lane reads all scores.
        storageBarrier();
        workgroupBarrier();
    }
    for (var four = lane; four < user.fours; four += LANES) {
        let own = scores[user.first + four];
        var pulls = vec4<f32>(0.0);
        for (var sample = user.begin; sample < user.end; sample++) {
            pulls += choice(sample) * sigmoids(own - appeals[sample]);
        }
        scores[user.first + four] = params.scale * shares(four) * pulls;
    }
    return loss;
}

fn bce(user: User, lane: u32, thread: u32) -> f32 {
    var loss = 0.0;
    var weights = 0.0;
    for (var sample = user.begin + lane; sample < user.end; sample += LANES) {
        let weight = choice(sample);
        let missing = vec4<f32>(-appeals[sample]);
        loss += weight * softplus(missing).x;
        gradient[sample] = -params.scale * weight * sigmoids(missing).x;
        weights += weight;
    }
    weights = team_sum(weights, thread);
    var against = vec4<f32>(0.0);
    for (var four = lane; four < user.fours; four += LANES) {
        let own = scores[user.first + four];
        against += shares(four) * softplus(own);
        scores[user.first + four] = params.scale * weights * shares(four) * sigmoids(own);
    }
    return loss + weights * add_up(against);
}

@compute @workgroup_size(TEAM_THREADS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = linear_workgroup(workgroup, workgroups);
    let user = find_user(group * TEAMS + thread / LANES);
    let lane = thread % LANES;
    var loss = 0.0;
    if (LOSS == SOFTMAX) {
        loss = softmax(user, lane, thread);
    } else if (LOSS == BPR) {
        loss = bpr(user, lane);
    } else {
        loss = bce(user, lane, thread);
    }
    lane_values[thread] = loss;
    workgroupBarrier();
    if (thread == 0u && group * TEAMS < params.users) {
        var sum = 0.0;
        for (var at = 0u; at < TEAM_THREADS; at++) {
            sum += lane_values[at];
        }
        partials[group] = vec4<f32>(sum * params.each, 0.0, 0.0, 0.0);
    }
}
