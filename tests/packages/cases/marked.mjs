import { marked, Marked } from 'marked';

const TEXT = `# Title *em*

A [link](https://x.org "t"), \`code\`, **bold** and ~~gone~~.

- one
- [x] two
  1. deep

| a | b |
|---|:-:|
| 1 | 2 |

\`\`\`js
const x = '<b>';
\`\`\`

> quote  
> more

![image](a.png) https://auto.link
`;

export default async () => {
  const own = new Marked({ renderer: { heading({ depth, text }) { return `<h${depth} class="own">${text}</h${depth}>`; } } });
  return {
    html: marked.parse(TEXT), inline: marked.parseInline('**a** _b_'), tokens: marked.lexer('# x\n\ny').map(({ type, raw }) => [type, raw]),
    own: own.parse('## two'), async: await marked.parse('*a*', { async: true }),
  };
};
