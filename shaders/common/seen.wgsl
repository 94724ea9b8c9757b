// The importing file binds `seen`: where each query's items begin, then the items, ascending for each query.

// First position among the query's seen items that holds `item` or more.
fn seen_from(query: u32, item: u32) -> u32 {
    var low = seen[query];
    var high = seen[query + 1u];
    while (low < high) {
        let middle = (low + high) / 2u;
        if (seen[middle] < item) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low;
}
