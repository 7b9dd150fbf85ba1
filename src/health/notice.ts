/** How a notice reads: its subject, its text, and the JSON of the webhooks. Pure. */
import type { Change, Notice } from './alerts.ts'
import { findingLine } from './report.ts'

export type WebhookShape = 'generic' | 'slack'

/** One line: `CRITICAL: main: chain, car`; all is well again: `RECOVERED: main`. */
export function subjectOf({ dataset, level, changes }: Notice): string {
  if (level === 'ok') return `RECOVERED: ${dataset}`
  const worse = changes.filter(({ to }) => to !== 'ok')
  const names = (worse.length > 0 ? worse : changes).map(({ check }) => check)
  const better = worse.length === 0 ? ' better' : ''
  return `${level.toUpperCase()}: ${dataset}: ${names.join(', ')}${better}`
}

export function textOf({ changes }: Notice): string {
  return changes.flatMap(linesOf).join('\n')
}

function linesOf({ check, from, to, findings }: Change): string[] {
  const lines = findings.flatMap((finding) => [
    findingLine(finding),
    ...(finding.level !== 'ok' && finding.hint !== undefined ? [`  hint: ${finding.hint}`] : []),
  ])
  if (to === 'ok') return [`RECOVERED: ${check} (was ${from})`, ...lines]
  return lines
}

export function webhookBody(notice: Notice, shape: WebhookShape, host: string): unknown {
  const subject = subjectOf(notice)
  const text = textOf(notice)
  if (shape === 'slack') return { text: `*${slackText(subject)}*\n${slackText(text)}` }
  return { schema: 'cairn/alert@v1', host, ...notice, subject, text }
}

/** What Slack takes for markup. */
function slackText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
