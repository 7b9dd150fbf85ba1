/** JSON schemas in words: the fields of an object a line each, with what is said of them. */

/** Over several lines where there are fields. */
export function describeSchema(schema, indent = '') {
  const several = schema.oneOf ?? schema.anyOf ?? []
  if (several.length > 0 && several.every(isObject))
    return several.map((one) => describeSchema(one, indent)).join(`\n${indent}or `)
  const orNull = typesOf(schema).includes('null') ? ' or null' : ''
  if (isObject(schema)) return `${fields(schema, indent)}${orNull}`
  if (typesOf(schema).includes('array') && isObject(schema.items ?? {}))
    return `[${describeSchema(schema.items, indent)}, ...]${orNull}`
  if (isMap(schema))
    return `{ NAME: ${describeSchema(schema.additionalProperties, indent)} }${orNull}`
  return fieldType(schema)
}

const typesOf = ({ type }) => (type === undefined ? [] : [type].flat())
const isObject = (schema) => typesOf(schema).includes('object') && schema.properties !== undefined
const isMap = (schema) =>
  typesOf(schema).includes('object') && typeof schema.additionalProperties === 'object'

function fields({ properties, required = [], oneOf = [] }, indent) {
  const names = Object.entries(properties)
  if (names.length === 0) return '{}'
  const inner = `${indent}  `
  const lines = names.map(([name, schema]) => {
    const optional = required.includes(name) ? '' : '?'
    const about = schema.description === undefined ? '' : `  # ${schema.description}`
    return `${inner}${name}${optional}: ${describeSchema(schema, inner)}${about}`
  })
  const exactly = oneOf.flatMap(({ required: needed = [] }) => needed)
  const rule = exactly.length === 0 ? [] : [`${inner}# exactly one of: ${exactly.join(', ')}`]
  return ['{', ...lines, ...rule, `${indent}}`].join('\n')
}

const MANY = 15
const plain = (value) => (typeof value === 'string' ? `"${value}"` : String(value))

/** In one line. */
export function fieldType(schema) {
  const type = typeOf(schema)
  return schema.default === undefined ? type : `${type} (${plain(schema.default)} unless given)`
}

function typeOf(schema) {
  const { $ref, enum: values, const: only, anyOf } = schema
  if ($ref !== undefined) return $ref.split('/').at(-1)
  if (only !== undefined) return plain(only)
  // Longer lists are told elsewhere.
  if (values !== undefined) return values.length > MANY ? 'text' : values.map(plain).join(' or ')
  if (anyOf !== undefined) return anyOf.map(fieldType).join(' or ')
  if (schema.format === 'binary') return 'bytes'
  const names = typesOf(schema).map((type) => nameOf(type, schema))
  return names.length === 0 ? 'anything' : names.join(' or ')
}

function nameOf(type, schema) {
  if (type === 'string') return 'text'
  if (type === 'array') return `[${fieldType(schema.items)}, ...]`
  if (type === 'object')
    return isMap(schema) ? `{ NAME: ${fieldType(schema.additionalProperties)} }` : 'object'
  return type === 'integer' || type === 'number' ? withBounds(type, schema) : type
}

function withBounds(type, { minimum = 0, maximum = Number.MAX_SAFE_INTEGER }) {
  if (maximum < Number.MAX_SAFE_INTEGER) return `${type} ${minimum} to ${maximum}`
  return minimum > 0 ? `${type} from ${minimum}` : type
}
