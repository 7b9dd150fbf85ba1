/** Answers of the service that are problems. */
import { expect } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import type { Answer } from './service.ts'

export function expectProblem(
  answer: Pick<Answer, 'status' | 'json'>,
  status: number,
  code: ErrorCode,
): void {
  const { code: found, detail } = (answer.json ?? {}) as { code?: unknown; detail?: unknown }
  expect({ status: answer.status, code: found }, String(detail)).toEqual({ status, code })
}
