/** What went wrong, in words: what the service said, its code, and what to try. */
import type { VNode } from 'preact'
import { isClientError } from '../../../src/client/error.ts'
import { Button } from '../ui/button.tsx'

interface Told {
  readonly message: string
  readonly code: string
  readonly hint?: string | undefined
  readonly requestId?: string | undefined
}

function tellError(error: unknown): Told {
  if (isClientError(error)) {
    const { message, code, hint, requestId } = error
    if (code === 'unreachable' || code === 'timeout')
      return { message: 'The service does not answer.', code, hint: 'It is asked again by itself.' }
    return { message, code, hint, requestId }
  }
  // Of the worker that reads CARs, with the fields of CairnError.
  const { message, code, hint } = (error ?? {}) as Partial<Told>
  return { message: message ?? String(error), code: code ?? 'internal', hint }
}

export function ErrorNote({ error, onRetry }: { error: unknown; onRetry?: () => void }): VNode {
  const { message, code, hint, requestId } = tellError(error)
  return (
    <div class="note note-critical">
      {/* Not the number of the request, which differs each time that the same is told. */}
      <div class="note-told" role="alert">
        <p class="note-title">
          <bdi>{message}</bdi>
        </p>
        {hint !== undefined && <p>{hint}</p>}
      </div>
      <p class="row small">
        <code>{code}</code>
        {requestId !== undefined && <span class="muted">request {requestId}</span>}
        {onRetry !== undefined && (
          <Button small onClick={onRetry}>
            Try again
          </Button>
        )}
      </p>
    </div>
  )
}
