//! What the pages say in French: plain, and with “vous”. In front of a colon and its like stands a no-break space.

use super::{Explanation, Texts};

pub(super) static TEXTS: Texts = Texts {
    sign_in_page: "Connexion",
    sign_in: "Se connecter",
    sign_in_again: "Se connecter à nouveau",
    another_way: "Se connecter autrement",
    try_again: "Réessayer",
    front_page: "Aller à la page d’accueil",
    reference_number: "Numéro de référence\u{a0}:",
    contact: "Contact\u{a0}:",

    choose: "Comment souhaitez-vous vous connecter\u{a0}?",
    last_choice: "Vous avez choisi celui-ci la dernière fois",

    sign_out_title: "Souhaitez-vous vous déconnecter\u{a0}?",
    sign_out: "Se déconnecter",
    stay: "Rester connecté",
    signed_out_here: Explanation::new(
        "Vous êtes déconnecté ici.",
        "Les autres serveurs de ce site n’ont pas encore pu en être informés\u{a0}; ils le seront dès que possible. D’ici là, une personne qui aurait une copie de votre session pourrait s’en servir, au plus tard jusqu’à cette heure\u{a0}:",
    ),

    form_kept: Explanation::new(
        "Veuillez vous connecter à nouveau.",
        "Vous avez été déconnecté avant l’envoi de ce formulaire. Ce que vous avez saisi est conservé et sera envoyé dès que vous vous serez connecté.",
    ),
    form_not_storable: "Le formulaire n’a pas pu être conservé dans ce navigateur\u{a0}: veuillez revenir en arrière et le copier avant de vous connecter.",
    form_needs_script: "Votre navigateur n’exécute pas de scripts ici, le formulaire ne peut donc pas être conservé\u{a0}: veuillez copier ce que vous avez saisi avant de vous connecter.",
    form_sent: Explanation::new(
        "Votre formulaire est en cours d’envoi.",
        "S’il ne se passe rien, veuillez revenir à la page d’où vous veniez.",
    ),
    fragment_kept: "Veuillez vous connecter.",

    nothing_to_tell: Explanation::new(
        "Il n’y a plus rien à expliquer.",
        "Cette page explique pourquoi une connexion n’a pas abouti. Ce qu’elle avait à expliquer n’est plus connu.",
    ),
    stale: Explanation::new(
        "Cette connexion n’est plus valable.",
        "Elle a pris trop de temps, a déjà servi ou a été commencée dans un autre navigateur. Rien n’est perdu\u{a0}: veuillez vous connecter à nouveau.",
    ),
    malformed: Explanation::new(
        "La réponse à cette connexion n’est pas arrivée comme prévu.",
        "Veuillez vous connecter à nouveau. Si vous êtes venu par un lien ou un favori, utilisez plutôt les pages du site lui-même.",
    ),
    access_denied: Explanation::new(
        "Vous n’avez pas été connecté.",
        "L’accès a été refusé pendant la connexion. Si vous ne vouliez pas le refuser, veuillez vous connecter à nouveau.",
    ),
    no_identity: Explanation::new(
        "Votre adhésion n’a pas pu être lue.",
        "Vous vous êtes connecté, mais votre numéro de membre n’a pas été transmis. Veuillez en informer les responsables de ce site.",
    ),
    not_in_directory: Explanation::new(
        "Vous n’êtes pas connu ici comme membre.",
        "Vous vous êtes connecté, mais l’adresse utilisée ne figure pas dans la liste des membres. Veuillez demander aux responsables de ce site de l’ajouter.",
    ),
    ambiguous_in_directory: Explanation::new(
        "Nous ne savons pas quel membre vous êtes.",
        "Vous vous êtes connecté, mais l’adresse utilisée appartient à plusieurs membres. Veuillez demander aux responsables de ce site de donner à chacun sa propre adresse.",
    ),
    lapsed: Explanation::new(
        "Votre adhésion n’est pas active.",
        "Vous vous êtes connecté, mais votre adhésion a pris fin ou est suspendue. Les responsables de ce site peuvent vous dire comment la renouveler.",
    ),
    looping: Explanation {
        title: "La connexion tourne en rond.",
        advice: "Vous avez été envoyé cinq fois en une minute vers la connexion. Voici les causes habituelles\u{a0}:",
        points: &[
            "Votre navigateur ne conserve pas les cookies de ce site, ou en conserve un ancien de même nom venu d’un site voisin. Veuillez autoriser les cookies de ce site et supprimer ceux qui s’y trouvent.",
            "La date ou l’heure de votre appareil est fausse. Veuillez régler son horloge.",
            "Le site vous renvoie vers la connexion alors que vous venez de vous connecter. Ses responsables peuvent y remédier\u{a0}: veuillez les en informer avec le numéro de référence ci-dessous.",
        ],
    },
    vendor_refuses: Explanation::new(
        "La connexion n’est pas configurée correctement.",
        "Ce n’est pas de votre faute. Veuillez en informer les responsables de ce site avec le numéro de référence ci-dessous.",
    ),
    vendor_broken: Explanation::new(
        "La connexion n’a pas fonctionné.",
        "Le service de connexion a donné une réponse incompréhensible. Veuillez réessayer dans quelques minutes.",
    ),
    vendor_away: Explanation::new(
        "La connexion n’est pas disponible pour le moment.",
        "Le service de connexion ne répond pas. Veuillez réessayer dans quelques minutes.",
    ),

    target_too_long: Explanation::new(
        "Cette adresse est trop longue.",
        "Veuillez revenir en arrière et suivre à nouveau le lien.",
    ),
    too_many_cookies: Explanation::new(
        "Votre navigateur envoie trop de cookies.",
        "Veuillez supprimer les cookies de ce site dans votre navigateur, puis ouvrir la page à nouveau.",
    ),
    target_not_ascii: Explanation::new(
        "Cette adresse n’est pas bien formée.",
        "Veuillez vérifier le lien\u{a0}; dans une adresse, les lettres autres que A à Z doivent être encodées avec des signes pour cent.",
    ),
    ambiguous_path: Explanation::new(
        "Cette adresse n’est pas claire.",
        "Veuillez vérifier le lien\u{a0}: son chemin peut se lire de plusieurs façons qui sont traitées différemment.",
    ),
    unknown_expectation: Explanation::new(
        "La requête attend quelque chose qui n’est pas proposé ici.",
        "Seul «\u{a0}Expect: 100-continue\u{a0}» est compris.",
    ),
    method_not_served: Explanation::new(
        "Cette méthode n’est pas prise en charge ici.",
        "CONNECT, TRACE et les méthodes qui ne sont pas en majuscules ne sont pas transmises.",
    ),
    going_in_circles: Explanation::new(
        "Cette requête tourne en rond.",
        "Aux responsables de ce site\u{a0}: un `upstream` de la passerelle ramène à la passerelle elle-même.",
    ),
    method_not_allowed: Explanation::new(
        "Cette adresse n’accepte pas cette méthode.",
        "Veuillez revenir en arrière et réessayer.",
    ),
    no_such_endpoint: Explanation::new(
        "Il n’y a pas de page à cette adresse.",
        "Veuillez vérifier le lien ou repartir de la page d’accueil.",
    ),
    denied: Explanation::new(
        "Cette page n’est ouverte à personne.",
        "Si vous en avez besoin, veuillez vous adresser aux responsables de ce site.",
    ),
    not_admitted: Explanation::new(
        "Cette page n’est pas ouverte à votre adhésion.",
        "Vous êtes connecté, mais cette page est destinée à d’autres membres. Si vous pensez devoir y accéder, veuillez vous adresser aux responsables de ce site.",
    ),
    cannot_be_named: Explanation::new(
        "Impossible d’indiquer à l’application de ce site qui vous êtes.",
        "Vous êtes connecté, mais votre numéro de membre a une forme que cette application ne comprend pas. Veuillez en informer les responsables de ce site.",
    ),
    membership_unknown: Explanation::new(
        "Votre adhésion ne peut pas être vérifiée pour le moment.",
        "Le service qui la connaît ne répond pas. Rien n’est perdu\u{a0}: veuillez réessayer dans quelques minutes.",
    ),
    revocations_unknown: Explanation::new(
        "Cette page ne peut pas être affichée pour le moment.",
        "Il n’est pas possible de savoir si vous êtes encore connecté. Rien n’est perdu\u{a0}: veuillez réessayer dans une minute.",
    ),
    untrusted_proxy: Explanation::new(
        "Cette question ne reçoit pas de réponse ici.",
        "Aux responsables de ce site\u{a0}: seul un proxy qui figure dans `trusted_proxies` peut interroger la passerelle sur les requêtes d’autrui.",
    ),
    unclear_question: Explanation::new(
        "On ne sait pas de quelle requête il s’agit.",
        "Aux responsables de ce site\u{a0}: le proxy placé devant doit indiquer, une seule fois et sans se contredire, X-Forwarded-Method, -Proto, -Host et -Uri, ou bien X-Original-Method et X-Original-URL.",
    ),
    own_path_asked_about: Explanation::new(
        "Cette adresse est celle de la passerelle elle-même.",
        "Aux responsables de ce site\u{a0}: le proxy placé devant doit transmettre à la passerelle tout ce qui se trouve sous /_gateway/, sans l’interroger au préalable.",
    ),
    foreign_origin: Explanation::new(
        "Un autre site ne peut pas se connecter ici.",
        "Les responsables de ce site peuvent autoriser une origine dans une règle de leur passerelle.",
    ),
    foreign_form: Explanation::new(
        "Vous êtes toujours connecté.",
        "Un autre site a essayé de vous déconnecter. Vous pouvez le faire sur celui-ci.",
    ),
    too_many_sign_ins: Explanation::new(
        "Trop de connexions sont tentées depuis votre réseau.",
        "Veuillez patienter une minute, puis réessayer.",
    ),
    form_not_kept: Explanation::new(
        "Votre formulaire n’a pas pu être envoyé à nouveau.",
        "Il a été conservé trop longtemps pendant votre connexion ou appartient à une autre page. Veuillez le remplir encore une fois.",
    ),
    no_site_named: Explanation::new(
        "La requête ne dit pas à quel site elle s’adresse.",
        "Elle doit nommer un seul hôte, et bien formé.",
    ),
    unknown_site: Explanation::new(
        "Il n’y a pas de site de ce nom ici.",
        "Veuillez vérifier l’adresse. Aux responsables de ce site\u{a0}: l’hôte doit être celui d’une public_url dans la configuration de la passerelle.",
    ),
    unasked_upgrade: Explanation::new(
        "Le site a donné une réponse incompréhensible.",
        "Veuillez réessayer dans un instant. Si rien ne change, veuillez en informer les responsables de ce site.",
    ),
    upstream_away: Explanation::new(
        "Le site ne répond pas pour le moment.",
        "Veuillez réessayer dans un instant. Si rien ne change, veuillez en informer les responsables de ce site.",
    ),
    upstream_full: Explanation::new(
        "Trop de personnes utilisent ce site en ce moment.",
        "Veuillez patienter quelques secondes, puis réessayer.",
    ),
    upstream_silent: Explanation::new(
        "Le site met trop de temps à répondre.",
        "Veuillez réessayer dans un instant. Si rien ne change, veuillez en informer les responsables de ce site.",
    ),
    request_broken_off: Explanation::new(
        "Ce que vous avez envoyé n’est pas arrivé en entier.",
        "Veuillez revenir en arrière et l’envoyer à nouveau.",
    ),
};
