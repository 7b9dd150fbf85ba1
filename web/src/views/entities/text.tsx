/** Text that came from outside, as text and nothing else; its direction stays its own. */
import type { VNode } from 'preact'
import { visiblePieces } from './visible.ts'

export function Visible({ text, lines = false }: { text: string; lines?: boolean }): VNode {
  return (
    <bdi class="outside">
      {visiblePieces(text, { lines }).map((piece, i) =>
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
