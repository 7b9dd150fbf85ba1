/**
 * The schema tags of every record, one line of history each. A record with a tag that is not here is
 * refused (`format_unsupported`): a reader never guesses.
 */
export const CHAIN_SCHEMA = 'cairn/chain@v1' // 0.1.0
export const NODE_SCHEMA = 'cairn/node@v1' // 0.1.0
export const SNAPSHOT_SCHEMA = 'cairn/snapshot@v1' // 0.1.0
export const KEPT_SCHEMA = 'cairn/kept@v1' // 0.1.0
export const COMMIT_SCHEMA = 'cairn/commit@v1' // 0.1.0
export const CHECKPOINT_SCHEMA = 'cairn/checkpoint@v1' // 0.1.0
export const CHAIN_LIST_SCHEMA = 'cairn/chain-list@v1' // 0.1.0
