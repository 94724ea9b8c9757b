// Linear number of a workgroup in a dispatch that the host folded into two dimensions (`fold` in src/engine/gpu/launch.rs).
// The last few may lie past the end: every kernel guards.
fn linear_workgroup(workgroup: vec3<u32>, workgroups: vec3<u32>) -> u32 {
    return workgroup.x + workgroup.y * workgroups.x;
}
