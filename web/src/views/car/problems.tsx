/** What is wrong with a CAR, problem by problem. */
import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import type { CarProblem, CarVerification } from '../../car/protocol.ts'
import { Button } from '../../ui/button.tsx'
import { countText } from '../../ui/format.ts'
import { Cid } from '../../ui/value.tsx'
import { Visible } from '../entities/text.tsx'
import { hintFor } from './verdict.ts'

const STEP = 50

export function Problems({ report }: { report: CarVerification }): VNode | null {
  const { problems, problemCount, unreached } = report
  const [most, setMost] = useState(STEP)
  if (problems.length === 0) return null
  return (
    <div class="stack">
      <ul class="problems">
        {problems.slice(0, most).map((problem, i) => (
          <Problem key={i} problem={problem} />
        ))}
      </ul>
      {problems.length > most && (
        <div>
          <Button small onClick={() => setMost(most + STEP)}>
            {countText(problems.length - most)} more
          </Button>
        </div>
      )}
      {problemCount > problems.length && most >= problems.length && (
        <p class="small">
          {countText(problemCount - problems.length)} more are not listed; `cairn car verify --json`
          tells of as many.
        </p>
      )}
      {unreached > 0 && (
        <p class="small">{countText(unreached)} blocks are there that nothing leads to.</p>
      )}
    </div>
  )
}

function Problem({ problem }: { problem: CarProblem }): VNode {
  const { code, message, cid, path, offset } = problem
  const hint = hintFor(problem)
  return (
    <li>
      <p>
        <strong>
          <Visible text={message} />
        </strong>
      </p>
      {hint !== undefined && <p>{hint}</p>}
      <p class="row small">
        <code>{code}</code>
        {path !== null && (
          <span>
            <Visible text={path} />, offset {countText(offset ?? 0)}
          </span>
        )}
        {cid !== null && <Cid value={cid} />}
      </p>
    </li>
  )
}
