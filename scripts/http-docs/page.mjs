/** The page of the HTTP API, from its OpenAPI document. Pure: `prettier` gives it its last form. */
import { describeSchema, fieldType } from './schema.mjs'

const RIGHTS = {
  none: 'for everybody',
  read: 'right `read`',
  append: 'right `append`',
  admin: 'right `admin`',
}

const INTRO = `# The HTTP API

What \`cairn serve\` answers: made from the document at \`GET /openapi.json\`, by \`node scripts/http-docs.mjs\`.
How to run it, and examples of calls, are in [SERVICE.md](SERVICE.md).

- **Who may.** Without a token every program of this machine may do everything; with one, send
  \`Authorization: Bearer TOKEN\`. Each right contains those before it: \`read\`, \`append\`, \`admin\`.
- **JSON** in and out, unless a type is named. Unknown parameters and fields are refused (400). Times are RFC 3339 in UTC;
  bodies also take milliseconds since 1970. CIDs are text. A \`JsonValue\` is any JSON, in which links are \`{"/": CID}\` and bytes
  \`{"/": {"bytes": BASE64}}\` (DAG-JSON).
- **ETag** comes with an entity (\`"VER-TIP"\`), content, a snapshot and a backup; \`If-None-Match\` is then answered with
  304. Writing takes \`If-Match\`, and \`If-None-Match: *\` for what must not exist. Content by its CID never changes.
- **HEAD** is answered wherever GET is, but for streams of events. What is no method of an address gets 405 with \`Allow\`.
- **A stream that fails midway resets the connection**: an answer that ends whole is whole.
- **Jobs** are answered with 202, \`Location\`, and the job; \`GET\` it with \`wait_ms\` until its \`state\` is one of
  \`succeeded\`, \`failed\`, \`cancelled\`.
- Every answer has \`X-Request-Id\`; one that was sent along is taken over.`

export function httpPage({ document, rights }) {
  const order = document.tags.map(({ name }) => name)
  const place = ({ tags = [] }) => order.indexOf(tags[0])
  const operations = operationsOf(document).toSorted((a, b) => place(a) - place(b))
  const problems = problemTexts(operations)
  const chapters = document.tags.map(({ name, description }) =>
    chapter(
      name,
      description,
      operations.filter(({ tags }) => tags?.[0] === name),
      rights,
    ),
  )
  return [
    INTRO,
    overview(operations, rights),
    problemsChapter(document, problems),
    ...chapters,
  ].join('\n\n')
}

function operationsOf({ paths }) {
  return Object.entries(paths).flatMap(([url, methods]) =>
    Object.entries(methods)
      .filter(([method]) => method !== 'head')
      .map(([method, operation]) => ({ ...operation, url, method: method.toUpperCase() })),
  )
}

const titleOf = ({ method, url }) => `${method} ${url}`
const cell = (text = '') => String(text).replaceAll('|', '\\|').replaceAll('\n', ' ')

function table(head, rows) {
  const line = (cells) => `| ${cells.map(cell).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function rightOf(rights, { operationId }) {
  const text = RIGHTS[rights.get(operationId)]
  if (text === undefined) throw new Error(`the right of ${operationId} is not known`)
  return text
}

function overview(operations, rights) {
  const rows = operations.map((one) => [
    `\`${titleOf(one)}\``,
    rightOf(rights, one).replace('right ', ''),
    one.summary,
  ])
  return `## All calls\n\n${table(['call', 'right', 'what'], rows)}`
}

const isProblem = ({ content }) => content?.['application/problem+json'] !== undefined

/** What each status means; of a status with two meanings, both. */
function problemTexts(operations) {
  const texts = new Map()
  for (const { responses } of operations)
    for (const [status, response] of Object.entries(responses)) {
      if (!isProblem(response)) continue
      texts.set(status, (texts.get(status) ?? new Set()).add(response.description))
    }
  return [...texts].toSorted(([a], [b]) => Number(a) - Number(b))
}

function problemsChapter({ components }, texts) {
  const rows = texts.map(([status, one]) => [status, [...one].join(' ')])
  return `## Problems

Errors are \`application/problem+json\`:

${code(describeSchema(components.schemas.Problem))}

Clients decide by \`code\`; [ERRORS.md](ERRORS.md) has all of them, and which status each has. Particulars of a code (such as
\`pi\`, \`cid\`) stand beside these fields. With 429 and 503 comes \`Retry-After\`, in seconds.

${table(['status', 'means'], rows)}`
}

function chapter(name, description, operations, rights) {
  const parts = operations.map((one) => operationText(one, rights))
  return [`## ${name}`, `${sentence(description)}`, ...parts].join('\n\n')
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
const code = (text) => `\`\`\`text\n${text}\n\`\`\``

function operationText(operation, rights) {
  const { operationId, summary, parameters = [], requestBody, responses } = operation
  const answers = Object.entries(responses).filter(([, response]) => !isProblem(response))
  const problems = Object.entries(responses).filter(([, response]) => isProblem(response))
  return [
    `### \`${titleOf(operation)}\``,
    `\`${operationId}\`, ${rightOf(rights, operation)}. ${summary}`,
    parameters.length === 0 ? '' : parametersText(parameters),
    requestBody === undefined ? '' : bodyText('Body', requestBody.content),
    ...alike(answers).map(([statuses, response]) => answerText(statuses, response)),
    `Problems: ${problems.map(([status]) => status).join(', ')}.`,
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

/** The same answer with several statuses is told once. */
function alike(answers) {
  const texts = new Map()
  for (const [status, response] of answers) {
    const text = JSON.stringify(response)
    texts.set(text, [...(texts.get(text) ?? []), status])
  }
  return [...texts].map(([text, statuses]) => [statuses.join(', '), JSON.parse(text)])
}

function parametersText(parameters) {
  const rows = parameters.map(({ name, in: place, required, schema, description }) => [
    `\`${name}\``,
    `${place}${required === true ? ', needed' : ''}`,
    fieldType(schema),
    description ?? schema.description ?? '',
  ])
  return table(['parameter', 'in', 'type', 'what'], rows)
}

function bodyText(title, content) {
  return Object.entries(content)
    .map(([type, { schema }]) => {
      const text = describeSchema(schema)
      const name = `${title}, \`${type}\``
      return text.includes('\n') ? `${name}:\n\n${code(text)}` : `${name}: \`${text}\``
    })
    .join('\n\n')
}

function answerText(statuses, { description, content }) {
  const about = description === 'Default Response' ? '' : ` ${description}`
  if (content === undefined) return `**${statuses}**${about === '' ? ' without a body.' : about}`
  return bodyText(`**${statuses}**${about}`, content)
}
