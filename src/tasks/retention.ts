/** Retention rules as text: `last=10,daily=30,within=90d,tag=release`, or `never` for no pruning at all. */
import { span, wholeNumber, type Kind } from '../config/kinds.ts'
import { CairnError } from '../errors.ts'
import { checkPolicy, type RetentionPolicy } from '../retention/policy.ts'

const COUNTS = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const
const count = wholeNumber(0, 1_000_000)

/** Undefined for `never`. */
export function parseRetention(text: string): RetentionPolicy | undefined {
  if (text.trim() === 'never') return undefined
  const tags: string[] = []
  const amounts = new Map<string, number>()
  for (const rule of text.split(',')) {
    const [first = '', ...rest] = rule.split('=')
    const [name, value] = [first.trim(), rest.join('=').trim()]
    if (name === 'tag' && value !== '') {
      tags.push(value)
      continue
    }
    const field = name === 'within' ? 'withinMs' : COUNTS.find((one) => one === name)
    if (field === undefined || amounts.has(field)) throw notARule(rule)
    amounts.set(field, parseAmount(field === 'withinMs' ? span : count, rule, value))
  }
  const policy = { ...Object.fromEntries(amounts), ...(tags.length === 0 ? {} : { tags }) }
  checkPolicy(policy)
  return policy
}

function parseAmount(kind: Kind<number>, rule: string, value: string): number {
  try {
    return kind.parse(value)
  } catch {
    throw notARule(rule)
  }
}

function notARule(rule: string): CairnError {
  return new CairnError('usage', `"${rule.trim().slice(0, 60)}" is no retention rule.`, {
    hint: `Give ${COUNTS.join('=N, ')}=N, within=30d or tag=NAME, each once but for tags, with commas between; or never.`,
  })
}
