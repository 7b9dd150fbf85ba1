/**
 * Writing a batch of entries, all or none of them, with the contents that come with them.
 *
 *   1 encode: small contents wait for the commit, the rest is staged
 *   2 prove what the tips name that is not of the batch
 *   3 append, with the small contents in the same commit
 *
 * Dying before 3 leaves staged blocks that nothing names.
 */
import type { Block } from '../model/cid.ts'
import type { Appender } from './append.ts'
import { BatchContent } from './batch-content.ts'
import { ContentProof } from './content-proof.ts'
import type { Context } from './context.ts'
import type { Draft } from './draft.ts'
import { draftOfItem, type ImportEntry } from './import-entry.ts'
import type { Appended } from './judge-group.ts'
import type { Pointer } from './pointer.ts'
import { endStaging } from './staging.ts'

export interface WrittenBatch {
  readonly appended: Appended[]
  readonly drafts: readonly Draft[]
}

interface Given {
  readonly entries: readonly ImportEntry[]
  readonly signal: AbortSignal | undefined
}

export async function writeBatch(
  context: Context,
  pointer: Pointer,
  appender: Appender,
  { entries, signal }: Given,
): Promise<WrittenBatch> {
  const { dataset } = pointer
  const contents = new BatchContent(
    () => context.backend.stage(dataset, 'content of a put', { signal }),
    signal,
  )
  try {
    const drafts: Draft[] = []
    for (const entry of entries) {
      // Only a large content makes the batch wait: those behind it would overtake it.
      const draft = draftOfItem(entry, contents)
      drafts.push(draft instanceof Promise ? await draft : draft)
    }
    await contents.flush()
    const content = contents.carried
    const relies = await proveContent(context, pointer, { drafts, content, signal })
    const appended = await appender.append({ drafts, content, relies, signal })
    await context.replicas?.acknowledge(pointer)
    return { appended, drafts }
  } finally {
    await endStaging(context, contents, { dataset, outcome: 'dropped' })
  }
}

interface Unproved {
  readonly drafts: readonly Draft[]
  readonly content: readonly Block[]
  readonly signal: AbortSignal | undefined
}

/** A linked tip joins the chain only when its whole DAG is in the store, or comes with it. */
async function proveContent(
  { backend }: Context,
  { seen }: Pointer,
  { drafts, content, signal }: Unproved,
): Promise<ContentProof | undefined> {
  if (seen.commit.settings.content === 'external') return undefined
  const tips = drafts.flatMap(({ tip, needsProof }) => (needsProof && tip !== null ? [tip] : []))
  if (tips.length === 0) return undefined
  const proof = new ContentProof(backend, tips, content, signal)
  await proof.renew()
  return proof
}
