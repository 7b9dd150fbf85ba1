/**
 * What the engine asks of the replicas of its datasets, and what those ask of a dataset. It is what `Context` knows
 * of them: the set itself, which opens stores and syncs them, needs a context.
 */
import type { Commit, EncodedCommit } from '../../model/commit.ts'
import type { KeptSnapshot } from '../../model/kept.ts'
import type { Fenced } from '../../model/replication.ts'

/** A dataset of which there are replicas. What is known of it is known of the object. */
export interface Replicated {
  readonly dataset: string
  readonly seen: { readonly commit: Commit }
  current(): Promise<{ readonly commit: Commit; readonly stored: EncodedCommit }>
  /** Makes it refuse all writes, durably. */
  fence(by: Fenced): Promise<unknown>
}

/** Why a kept snapshot must stay for a replica; undefined where it need not. */
export type HeldBack = (snapshot: KeptSnapshot) => string | undefined

export interface Replicas {
  /**
   * Fences a dataset that one of the replicas has taken the place of. The first write waits for the look, later
   * ones do not: what they wrote meanwhile is handed over when this store rejoins.
   */
  beforeWrite(primary: Replicated): Promise<void>
  /** Resolves when as many replicas as the policy says have all that was committed until now. */
  acknowledge(primary: Replicated): Promise<void>
  /** Which kept snapshots, with the log behind them, replicas have yet to get. Who cannot be asked holds all. */
  heldBack(primary: Replicated): Promise<HeldBack>
  /** Ends what is under way. */
  close(): Promise<void>
}
