const { buildSchema, graphql, parse, print, validate, introspectionFromSchema, GraphQLError } = require('graphql');

const schema = buildSchema(`
  enum Role { ADMIN USER }
  interface Node { id: ID! }
  type User implements Node { id: ID! name(upper: Boolean = false): String! role: Role friends(first: Int): [User!]! }
  input NewUser { name: String!, role: Role = USER }
  type Query { user(id: ID!): User, fails: Int }
  type Mutation { add(user: NewUser!): User! }
`);
const user = (id, name, role = 'USER') => ({
  id, role, name: ({ upper }) => (upper ? name.toUpperCase() : name), friends: async ({ first }) => (first ? [user('9', 'Cy')] : []),
});
const rootValue = {
  user: ({ id }) => (id === '1' ? user('1', 'Ada', 'ADMIN') : null), fails: () => { throw new GraphQLError('no', { extensions: { code: 'X' } }); },
  add: ({ user: { name, role } }) => user('2', name, role),
};

module.exports = async () => ({
  query: await graphql({ schema, rootValue, source: 'query Q($id: ID!) { user(id: $id) { ...f friends(first: 1) { name } } } fragment f on User { id name(upper: true) role }', variableValues: { id: '1' } }),
  missing: await graphql({ schema, rootValue, source: '{ user(id: 5) { id } fails }' }),
  mutation: await graphql({ schema, rootValue, source: 'mutation { add(user: { name: "Bob" }) { id name role __typename } }' }),
  invalid: validate(schema, parse('{ user { nope } }')).map(({ message }) => message), printed: print(parse('query($a:Int=1){x(a:$a)@skip(if:true){y}}')),
  types: introspectionFromSchema(schema).__schema.types.length, syntax: (await graphql({ schema, source: '{' })).errors[0].message,
});
