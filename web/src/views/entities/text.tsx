/** Text that came from outside, as text and nothing else; its direction stays its own. */
import type { VNode } from 'preact'
import { joined, visiblePieces } from './visible.ts'

/** More elements than this take seconds to lay out. */
const MOST_PIECES = 1000

export function Visible({ text, lines = false }: { text: string; lines?: boolean }): VNode {
  const pieces = visiblePieces(text, { lines })
  if (pieces.length > MOST_PIECES) return <bdi class="outside">{joined(pieces)}</bdi>
  return (
    <bdi class="outside">
      {pieces.map((piece, i) =>
        piece.named ? (
          <span key={i} class="unseen" title="A character that cannot be seen">
            {piece.text}
          </span>
        ) : (
          piece.text
        ),
      )}
    </bdi>
  )
}
