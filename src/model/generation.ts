/** Counts restores, rollbacks and fail-overs; the tag tells apart two that happened independently. */
export interface Generation {
  readonly number: number
  readonly tag: string
}
