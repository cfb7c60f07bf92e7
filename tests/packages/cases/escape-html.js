const escapeHtml = require('escape-html');

module.exports = () => ['<script>alert("x & \'y\'")</script>', 'plain', '', 42].map((x) => escapeHtml(x));
