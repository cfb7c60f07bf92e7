const sanitize = require('sanitize-html');

module.exports = () => [
  sanitize('<p onclick="x()">Hi <script>alert(1)</script><b>you</b><iframe src="x"></iframe></p>'),
  sanitize('<a href="javascript:alert(1)" title="t">x</a><a href="https://x.org" target="_blank">y</a>'),
  sanitize('<img src="x.png" onerror="y"><div class="a b">z</div>', {
    allowedTags: ['img', 'div'], allowedAttributes: { img: ['src'] }, allowedClasses: { div: ['a'] },
  }),
  sanitize('<b>bold</b> & <i>text</i>', { allowedTags: [], allowedAttributes: {} }),
  sanitize('<strong>x</strong>', { transformTags: { strong: 'b' } }),
  sanitize('<p style="color: red; position: fixed">x</p>', {
    allowedAttributes: { p: ['style'] }, allowedStyles: { '*': { color: [/^red$/] } },
  }),
];
