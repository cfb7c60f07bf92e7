const createError = require('http-errors');

module.exports = () => [
  ...[createError(404), createError(403, 'not you', { why: 'x' }), new createError.TooManyRequests(), createError(500, new Error('own')), createError('text')]
    .map((error) => [error.name, error.status, error.message, error.expose, error.why ?? null, error instanceof Error, createError.isHttpError(error)]),
  createError[418].name,
];
