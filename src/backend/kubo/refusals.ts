/**
 * What Kubo means by its refusals. It answers 500 for all of them, so they are told apart by their
 * message, which Kubo 0.43 words as below; what matches nothing here is an error and never "missing".
 */
import { CairnError, isCairnError, type ErrorCode } from '../../errors.ts'

const NO_SPACE = /no space left on device|disk quota exceeded/i
const TIMED_OUT = /context deadline exceeded/
/** What a node says that is about to end. */
const STOPPING = /context canceled|shutting down|(datastore|leveldb|pinner|database)[^:]* closed$/i

/** The node answered and said no. */
export class KuboRefusal extends CairnError {
  /** The node's own words. */
  readonly said: string

  constructor(said: string, where: string) {
    const code = codeFor(said)
    const hint = 'Free space on the disk that holds the repository of the node.'
    super(code, `${where} failed: ${said}`, code === 'no_space' ? { hint } : {})
    this.said = said
  }
}

export type Meaning =
  | 'blockMissing'
  | 'blockWrong'
  | 'pathMissing'
  | 'directoryMissing'
  | 'nameTaken'
  | 'madeMeanwhile'
  | 'putAside'
  | 'hashMismatch'
  | 'badBlock'
  | 'notPinned'
  | 'pinnedRecursively'

const MEANINGS: Readonly<Record<Meaning, RegExp>> = {
  /** A block is not on the node (a call that said `offline`). */
  blockMissing: /block was not found locally|ipld: could not find|blockstore: block not found/i,
  /** The node hashes what it reads (`Datastore.HashOnRead`), and found other bytes. */
  blockWrong: /block in storage has different hash than requested/,
  /** A path of MFS is not there. */
  pathMissing: /file does not exist$/,
  /** `files cp` put nothing, because the directory is not there. */
  directoryMissing: /^cp: cannot put node in path .*: file does not exist$/,
  nameTaken: /directory already has entry by that name$/,
  /** Of two that make one directory or one file at once, this is the one that came second. */
  madeMeanwhile: /^(file already exists|directory already has entry by that name)$/,
  /** What `files cp` put may be there or not: its directory was read anew meanwhile, for another change. */
  putAside: /^cp: cannot flush the created file('s parent folder)? .*: file does not exist$/,
  hashMismatch: /mismatch in content integrity/,
  /** A block of an import does not decode, or is too large. */
  badBlock: /^import failed at block /,
  notPinned: /is not pinned$|not pinned or pinned indirectly$/,
  pinnedRecursively: /(already|is) pinned recursively$/,
}

export function means(error: unknown, meaning: Meaning): error is KuboRefusal {
  return error instanceof KuboRefusal && MEANINGS[meaning].test(error.said)
}

function codeFor(said: string): ErrorCode {
  if (NO_SPACE.test(said)) return 'no_space'
  if (TIMED_OUT.test(said)) return 'backend_timeout'
  return STOPPING.test(said) ? 'backend_unavailable' : 'backend_refused'
}

/** Whether the node may have done what it was asked to, in spite of the error. */
export function mayHaveRun(error: unknown): boolean {
  return error instanceof KuboRefusal || (isCairnError(error) && error.details['sent'] === true)
}

export function refusalOf(status: number, body: Buffer, where: string): CairnError {
  if (status === 401 || status === 403) {
    return new CairnError('access_denied', `${where} is forbidden (HTTP ${status}).`, {
      hint: 'Check the token and the AllowedPaths under API.Authorizations in the node’s config.',
    })
  }
  const text = body.toString('utf8')
  if (status === 500) return new KuboRefusal(messageIn(text), where)
  // A proxy's own: it has no node, or gave up waiting for one that may be at it still.
  const proxy = status > 500 || status === 408 || status === 499
  return new CairnError(
    proxy ? 'backend_unavailable' : 'backend_refused',
    `${where} answered HTTP ${status}: ${text.trim().slice(0, 200)}`,
    {
      hint: 'Is this the address of the RPC of a Kubo node (Addresses.API), not of its gateway?',
      sent: proxy,
    },
  )
}

function messageIn(text: string): string {
  try {
    const answer: unknown = JSON.parse(text)
    if (typeof answer === 'object' && answer !== null && 'Message' in answer) {
      return String(answer.Message).trim()
    }
  } catch {
    // Not JSON: some errors are plain text.
  }
  return text.trim().slice(0, 500)
}
